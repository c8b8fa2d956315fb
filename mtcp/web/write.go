// SPDX-License-Identifier: Apache-2.0

package web

import (
	"io"
	"sync"
)

// Write sends a part of the response, of which the beginning may be out already.
func (c *Conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	k := int(min(c.skip, uint64(len(p))))
	c.skip -= uint64(k)
	n, err := 0, error(nil)
	if k < len(p) {
		n, err = c.Conn.Write(p[k:])
		c.done += uint64(n)
	}
	due := c.done-c.saved >= exportEvery && !c.held
	c.wmu.Unlock()
	if err == nil && due {
		err = c.exportSome()
	}
	return k + n, err
}

// exportSome shortens what would have to be repeated, if that can be now: the
// request is read, and all of it is known.
func (c *Conn) exportSome() error {
	if !c.rmu.TryLock() {
		return nil
	}
	defer c.rmu.Unlock()
	if c.frame.part != over || c.unkept {
		return nil
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.export(false)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// ReadFrom is what net/http copies files through. What is not to be sent again
// need not be read again.
func (c *Conn) ReadFrom(src io.Reader) (int64, error) {
	total, err := c.seek(src)
	if err != nil {
		return total, err
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for {
		n, err := src.Read(*b)
		if n > 0 {
			k, err := c.Write((*b)[:n])
			total += int64(k)
			if err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// seek passes over what the client has, if src can do that.
func (c *Conn) seek(src io.Reader) (int64, error) {
	var limits []*io.LimitedReader
	for {
		l, ok := src.(*io.LimitedReader)
		if !ok {
			break
		}
		limits, src = append(limits, l), l.R
	}
	s, ok := src.(io.Seeker)
	if !ok || len(limits) == 0 { // nobody says that so much is there
		return 0, nil
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	n := int64(c.skip)
	for _, l := range limits {
		n = min(n, l.N)
	}
	if n <= 0 {
		return 0, nil
	}
	if _, err := s.Seek(n, io.SeekCurrent); err != nil {
		return 0, nil // then read it
	}
	for _, l := range limits {
		l.N -= n
	}
	c.skip -= uint64(n)
	return n, nil
}
