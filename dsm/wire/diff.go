// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"lazystate/dsm/diff"
	"lazystate/dsm/logs"
)

// Forms of a diff.
const (
	formRuns = iota // count:2, then offset:2 length:2 of each, then the bytes
	formMask        // a bit for each byte of the page, then the bytes
)

// diff is what changed in a page.
func (c *coder) diff(v *diff.Diff) {
	form := uint8(formRuns)
	if !c.decodes && 2+4*len(*v) > (c.pageSize+7)/8 {
		form = formMask
	}
	c.u8(&form)
	switch form {
	case formRuns:
		c.runs(v)
	case formMask:
		c.mask(v)
	default:
		c.fail("a diff of form %d", form)
	}
	if c.err == nil && !v.Fits(c.pageSize) {
		c.fail("a diff that does not fit a page of %d bytes", c.pageSize)
	}
}

func (c *coder) runs(v *diff.Diff) {
	n := uint16(len(*v))
	c.u16(&n)
	if c.decodes {
		if !c.has(4 * int(n)) {
			return
		}
		*v = make(diff.Diff, n)
	}
	lengths := make([]uint16, n)
	for i := range *v {
		lengths[i] = uint16(len((*v)[i].Data))
		c.u16(&(*v)[i].Off)
		c.u16(&lengths[i])
	}
	for i := range *v {
		c.changed(&(*v)[i].Data, int(lengths[i]))
	}
}

// changed are n bytes of a run.
func (c *coder) changed(v *[]byte, n int) {
	if c.decodes {
		*v = append([]byte(nil), c.take(n)...)
	} else {
		c.b = append(c.b, *v...)
	}
}

func (c *coder) mask(v *diff.Diff) {
	size := (c.pageSize + 7) / 8
	if c.decodes {
		c.parseMask(v, c.take(size))
		return
	}
	mask := make([]byte, size)
	for _, r := range *v {
		for i := range r.Data {
			at := int(r.Off) + i
			mask[at/8] |= 1 << (at % 8)
		}
	}
	c.b = append(c.b, mask...)
	for _, r := range *v {
		c.b = append(c.b, r.Data...)
	}
}

// parseMask makes runs of the bits that are set.
func (c *coder) parseMask(v *diff.Diff, mask []byte) {
	for at := 0; at < 8*len(mask); {
		n := 0
		for at+n < 8*len(mask) && mask[(at+n)/8]>>((at+n)%8)&1 != 0 {
			n++
		}
		if n > 0 {
			r := diff.Run{Off: uint16(at)}
			c.changed(&r.Data, n)
			*v = append(*v, r)
		}
		at += n + 1
	}
}

// diffs are log entries. Those of one interval have one time, which is there once.
func (c *coder) diffs(v *[]logs.Diff) {
	var before *logs.Diff
	list(c, v, func(d *logs.Diff) {
		c.u32((*uint32)(&d.Page))
		c.node(&d.Writer)
		c.u64(&d.Interval)
		same := !c.decodes && before != nil && d.T.Equal(before.T)
		c.flags(&d.Ragged, &same)
		switch {
		case !same:
			c.time(&d.T)
		case before == nil:
			c.fail("the first diff has the time of one before it")
		default:
			d.T = before.T
		}
		c.diff(&d.Diff)
		before = d
	})
}
