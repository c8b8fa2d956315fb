// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"lazystate/dsm/vtime"
)

// ErrShort is a message that ends before what it promised.
var ErrShort = errors.New("too short")

// coder goes over a struct's fields and writes them to, or reads them from, its
// bytes. After an error it does nothing any more.
type coder struct {
	b        []byte
	decodes  bool
	nodes    int
	pageSize int
	err      error
}

func (c *coder) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// has is true if n bytes more can be read.
func (c *coder) has(n int) bool {
	if c.err == nil && n > len(c.b) {
		c.err = ErrShort
	}
	return c.err == nil
}

// take returns the next n bytes of what is read.
func (c *coder) take(n int) []byte {
	if !c.has(n) {
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *coder) u8(v *uint8) {
	if !c.decodes {
		c.b = append(c.b, *v)
	} else if b := c.take(1); b != nil {
		*v = b[0]
	}
}

func (c *coder) u16(v *uint16) {
	if !c.decodes {
		c.b = binary.LittleEndian.AppendUint16(c.b, *v)
	} else if b := c.take(2); b != nil {
		*v = binary.LittleEndian.Uint16(b)
	}
}

func (c *coder) u32(vs ...*uint32) {
	for _, v := range vs {
		if !c.decodes {
			c.b = binary.LittleEndian.AppendUint32(c.b, *v)
		} else if b := c.take(4); b != nil {
			*v = binary.LittleEndian.Uint32(b)
		}
	}
}

func (c *coder) u64(vs ...*uint64) {
	for _, v := range vs {
		if !c.decodes {
			c.b = binary.LittleEndian.AppendUint64(c.b, *v)
		} else if b := c.take(8); b != nil {
			*v = binary.LittleEndian.Uint64(b)
		}
	}
}

// flags are bools in the bits of one byte, the first in the lowest.
func (c *coder) flags(vs ...*bool) {
	var b uint8
	for i, v := range vs {
		if *v {
			b |= 1 << i
		}
	}
	c.u8(&b)
	if c.decodes && b>>len(vs) != 0 {
		c.fail("flags %#x of %d", b, len(vs))
	}
	for i, v := range vs {
		*v = b>>i&1 != 0
	}
}

func (c *coder) node(v *vtime.Node) { c.u16((*uint16)(v)) }

// raw is a page's bytes.
func (c *coder) raw(v *[]byte) {
	if !c.decodes {
		if len(*v) != c.pageSize {
			c.fail("a page of %d bytes, not %d", len(*v), c.pageSize)
		}
		c.b = append(c.b, *v...)
		return
	}
	*v = append([]byte(nil), c.take(c.pageSize)...)
}

// time has eight bytes for each node.
func (c *coder) time(v *vtime.Time) {
	switch {
	case c.decodes && !c.has(8*c.nodes):
		return
	case c.decodes:
		*v = vtime.New(c.nodes)
	case len(*v) != c.nodes:
		c.fail("a time of %d nodes, not %d", len(*v), c.nodes)
		return
	}
	for i := range *v {
		c.u64(&(*v)[i])
	}
}

// maybe has a flag before it that says whether it is there.
func maybe[T any](c *coder, v **T, each func(*T)) {
	there := *v != nil
	c.flags(&there)
	if c.err != nil || !there {
		return
	}
	if c.decodes {
		*v = new(T)
	}
	each(*v)
}

// maybeTime is a time that may be nil.
func (c *coder) maybeTime(v *vtime.Time) {
	there := *v != nil
	if c.flags(&there); c.err == nil && there {
		c.time(v)
	}
}

// list has its length before it. That is the other side's word: elements are made
// one by one, as long as there are bytes, of which each takes some.
func list[S ~[]T, T any](c *coder, v *S, each func(*T)) {
	if len(*v) > math.MaxInt32 {
		c.fail("a list of %d", len(*v))
	}
	n := uint32(len(*v))
	c.u32(&n)
	for i := uint32(0); i < n && c.err == nil; i++ {
		if c.decodes {
			*v = append(*v, *new(T))
		}
		each(&(*v)[i])
	}
}
