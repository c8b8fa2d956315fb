// SPDX-License-Identifier: Apache-2.0

package shelf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"unsafe"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
)

const (
	magic    = "dsmshelf"
	version  = 3
	block    = 4096
	headLine = 64
	most     = 1 << 46
)

// layout is where things lie in a shelf.
type layout struct {
	nodes, pages, pageSize int
}

func layoutOf(cfg dsm.Config) (layout, error) {
	l := layout{cfg.Nodes, cfg.Pages, cfg.PageSize}
	if l.nodes < 1 || l.pages < 1 || l.pageSize < 1 || l.size() > most {
		return l, fmt.Errorf("a shelf for %d pages of %d bytes and %d nodes", l.pages, l.pageSize, l.nodes)
	}
	return l, nil
}

func up(n, to int) int { return (n + to - 1) / to * to }

// Where things lie in a head, behind the count.
const (
	ordinalOff = 8
	timeOff    = 16
)

func (l layout) headSize() int { return up(timeOff+8*l.nodes, headLine) }

func (l layout) headAt(p dsm.Page) int { return block + int(p)*l.headSize() }

func (l layout) tookAt(p dsm.Page) int {
	return up(l.headAt(dsm.Page(l.pages)), block) + 4*int(p)
}

func (l layout) pageAt(p dsm.Page) int {
	return up(l.tookAt(dsm.Page(l.pages)), block) + int(p)*l.pageSize
}

func (l layout) size() int { return up(l.pageAt(dsm.Page(l.pages)), block) }

// header is the first bytes of the shelf of a node's incarnation.
func (l layout) header(of dsm.NodeID, inc uint32) []byte {
	b := append(make([]byte, 0, 32), magic...)
	for _, v := range []uint32{version, uint32(of), uint32(l.nodes), uint32(l.pages), uint32(l.pageSize), inc} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// check is nil for the shelf that header is of.
func (l layout) check(mem []byte, of dsm.NodeID, inc uint32) error {
	if want := l.header(of, inc); !bytes.Equal(mem[:len(want)], want) {
		return fmt.Errorf("it begins with %x, not %x", mem[:len(want)], want)
	}
	return nil
}

func (l layout) count(mem []byte, p dsm.Page) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&mem[l.headAt(p)]))
}

func (l layout) took(mem []byte, p dsm.Page) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&mem[l.tookAt(p)]))
}

func (l layout) page(mem []byte, p dsm.Page) []byte {
	at := l.pageAt(p)
	return mem[at : at+l.pageSize]
}

// put writes ordinal and time.
func (l layout) put(mem []byte, p dsm.Page, ordinal uint64, v vtime.Time) {
	head := mem[l.headAt(p):]
	binary.LittleEndian.PutUint64(head[ordinalOff:], ordinal)
	for i, interval := range v {
		binary.LittleEndian.PutUint64(head[timeOff+8*i:], interval)
	}
}

func (l layout) get(mem []byte, p dsm.Page) (ordinal uint64, v vtime.Time) {
	return l.parse(mem[l.headAt(p):])
}

func countOf(head []byte) uint32 { return binary.LittleEndian.Uint32(head) }

// parse reads a head.
func (l layout) parse(head []byte) (ordinal uint64, v vtime.Time) {
	v = vtime.New(l.nodes)
	for i := range v {
		v[i] = binary.LittleEndian.Uint64(head[timeOff+8*i:])
	}
	return binary.LittleEndian.Uint64(head[ordinalOff:]), v
}
