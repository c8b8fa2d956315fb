// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"

	"lazystate/dsm"
)

// Version is of both layouts.
const Version = 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// kind says how a body lies on the wire; its place in kinds is its number there.
type kind struct {
	of    reflect.Type
	parse func(*coder) dsm.Body
	put   func(*coder, dsm.Body)
}

// of makes a kind of the function that visits a body.
func of[T dsm.Body](visit func(*coder, *T)) kind {
	return kind{
		of:    reflect.TypeFor[T](),
		parse: func(c *coder) dsm.Body { var b T; visit(c, &b); return b },
		put:   func(c *coder, b dsm.Body) { t := b.(T); visit(c, &t) },
	}
}

var kinds = []kind{
	of(func(c *coder, b *dsm.HomeReq) { c.page(&b.Page); c.node(&b.Want) }),
	of(func(c *coder, b *dsm.HomeRep) { c.page(&b.Page); c.node(&b.Home) }),
	of(func(c *coder, b *dsm.PageReq) { c.page(&b.Page); c.time(&b.Need) }),
	of(func(c *coder, b *dsm.PageRep) { c.page(&b.Page); c.time(&b.V); c.raw(&b.Bytes) }),
	of(func(c *coder, b *dsm.Diffs) { c.cut(&b.Cut); c.diffs(&b.Diffs) }),
	of((*coder).request),
	of((*coder).forward),
	of(func(c *coder, b *dsm.LockGrant) { c.acquire(&b.Acquire); c.writerNotices(&b.Notices) }),
	of(func(c *coder, b *dsm.BarrierArrive) {
		c.u64(&b.Number)
		c.u32(&b.ID)
		c.time(&b.Low)
		c.time(&b.High)
		c.flags(&b.Wants)
		c.writerNotices(&b.Notices)
	}),
	of(func(c *coder, b *dsm.BarrierRelease) {
		c.barrier(&b.Barrier)
		c.flags(&b.Due)
		c.writerNotices(&b.Notices)
	}),
	of((*coder).registration),
	of(func(c *coder, b *dsm.CondRegAck) { c.u64(&b.Ordinal) }),
	of(func(c *coder, b *dsm.CondSignal) { c.u32(&b.Cond); c.u64(&b.Ordinal); c.flags(&b.All) }),
	of(func(c *coder, b *dsm.CondSignalAck) {
		c.u64(&b.Ordinal)
		list(c, &b.Woken, func(r *dsm.Registration) { c.node(&r.Node); c.u64(&r.Ordinal) })
	}),
	of(func(c *coder, b *dsm.CondWake) { c.u32(&b.Cond); c.u64(&b.Ordinal) }),
	of(func(c *coder, b *dsm.CondWakeAck) { c.u32(&b.Cond); c.u64(&b.Ordinal) }),
	of(func(c *coder, b *dsm.Recover) { c.stamp(&b.Ckp) }),
	of(func(c *coder, b *dsm.RecoverAck) { list(c, &b.Fwds, c.forward) }),
	of(func(*coder, *dsm.Gather) {}),
	of((*coder).recovery),
	of(func(c *coder, b *dsm.FetchCopy) { c.page(&b.Page) }),
	of(func(c *coder, b *dsm.Copy) { c.page(&b.Page); c.time(&b.V); c.raw(&b.Bytes) }),
	of(func(c *coder, b *dsm.FetchDiffs) { c.page(&b.Page); c.time(&b.V) }),
	of(func(c *coder, b *dsm.PageDiffs) { c.page(&b.Page); c.diffs(&b.Diffs) }),
	of(func(c *coder, b *dsm.Recovered) { c.u64(&b.Upto); c.diffs(&b.Diffs); c.notices(&b.Notices) }),
	of(func(c *coder, b *dsm.Refused) { c.text(&b.Why) }),
}

// number returns a body's kind on the wire.
func number(b dsm.Body) (uint8, bool) {
	for i, k := range kinds {
		if k.of == reflect.TypeOf(b) {
			return uint8(i), true
		}
	}
	return 0, false
}

// AppendMessage encodes a message between nodes, of so many, with pages of so
// many bytes.
func AppendMessage(b []byte, m *dsm.Message, nodes, pageSize int) ([]byte, error) {
	n, ok := number(m.Body)
	if !ok {
		return nil, fmt.Errorf("encode a %T: unknown", m.Body)
	}
	start := len(b)
	c := &coder{b: append(b, 'd', 's', 'm', Version, n), nodes: nodes, pageSize: pageSize}
	mm := *m
	c.header(&mm)
	kinds[n].put(c, m.Body)
	if c.err != nil {
		return nil, fmt.Errorf("encode %T: %w", m.Body, c.err)
	}
	return sum(c.b, start), nil
}

// ParseMessage decodes one, whole. Nodes and page size are this side's: a
// message of another cluster is refused.
func ParseMessage(b []byte, nodes, pageSize int) (*dsm.Message, error) {
	b, err := checked(b, "dsm")
	if err != nil {
		return nil, fmt.Errorf("parse a message: %w", err)
	}
	if int(b[0]) >= len(kinds) {
		return nil, fmt.Errorf("parse a message: type %d", b[0])
	}
	m := &dsm.Message{}
	c := &coder{b: b[1:], decodes: true, nodes: nodes, pageSize: pageSize}
	c.header(m)
	m.Body = kinds[b[0]].parse(c)
	if c.err == nil && len(c.b) > 0 {
		c.fail("%d bytes too many", len(c.b))
	}
	if c.err != nil {
		return nil, fmt.Errorf("parse a %T: %w", m.Body, c.err)
	}
	return m, nil
}

func (c *coder) header(m *dsm.Message) {
	there := m.News != nil
	c.flags(&there)
	c.cluster()
	c.node(&m.From)
	c.node(&m.To)
	c.u32(&m.FromInc, &m.ToInc)
	c.u64(&m.Seq, &m.Ordinal)
	if !there || c.err != nil {
		return
	}
	if c.decodes {
		m.News = &dsm.News{}
	}
	c.news(m.News)
}

// cluster refuses what comes from nodes of another number or with other pages.
func (c *coder) cluster() {
	nodes, pageSize := uint16(c.nodes), uint32(c.pageSize)
	if c.u16(&nodes); int(nodes) != c.nodes {
		c.fail("it is of %d nodes, here are %d", nodes, c.nodes)
	}
	if c.u32(&pageSize); int(pageSize) != c.pageSize {
		c.fail("its pages have %d bytes, here they have %d", pageSize, c.pageSize)
	}
}

// sum appends the checksum of all from start on.
func sum(b []byte, start int) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

var errChecksum = errors.New("checksum")

// checked returns what lies between magic, version and checksum: a byte at least.
func checked(b []byte, magic string) ([]byte, error) {
	if len(b) < len(magic)+1+1+4 {
		return nil, ErrShort
	}
	end := len(b) - 4
	switch {
	case string(b[:len(magic)]) != magic:
		return nil, fmt.Errorf("it begins with %q", b[:len(magic)])
	case b[len(magic)] != Version:
		return nil, fmt.Errorf("version %d, not %d", b[len(magic)], Version)
	case crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]):
		return nil, errChecksum
	}
	return b[len(magic)+1 : end], nil
}
