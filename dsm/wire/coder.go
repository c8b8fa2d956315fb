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

// take returns the next n bytes of what is read.
func (c *coder) take(n int) []byte {
	if c.err == nil && n > len(c.b) {
		c.err = ErrShort
	}
	if c.err != nil {
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

func (c *coder) u32(v *uint32) {
	if !c.decodes {
		c.b = binary.LittleEndian.AppendUint32(c.b, *v)
	} else if b := c.take(4); b != nil {
		*v = binary.LittleEndian.Uint32(b)
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

// time has a word for each node.
func (c *coder) time(v *vtime.Time) {
	if c.decodes {
		if len(c.b) < 4*c.nodes {
			c.err = ErrShort
			return
		}
		*v = vtime.New(c.nodes)
	} else if len(*v) != c.nodes {
		c.fail("a time of %d nodes, not %d", len(*v), c.nodes)
		return
	}
	for i := range *v {
		c.u32(&(*v)[i])
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

// list has its length before it. Each element takes at least least bytes.
func list[S ~[]T, T any](c *coder, v *S, least int, each func(*T)) {
	if len(*v) > math.MaxInt32 {
		c.fail("a list of %d", len(*v))
	}
	n := uint32(len(*v))
	c.u32(&n)
	if c.decodes {
		if c.err == nil && int(n) > len(c.b)/least {
			c.err = ErrShort
		}
		if c.err != nil || n == 0 {
			return
		}
		*v = make(S, n)
	}
	for i := range *v {
		if c.err != nil {
			return
		}
		each(&(*v)[i])
	}
}
