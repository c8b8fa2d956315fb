// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	"lazystate/dsm"
	"lazystate/dsm/wire"
)

// contents reads a whole checkpoint, to restart from it.
func (f *folder) contents(c *ckpt) (*dsm.State, []byte, error) {
	if c.err != nil {
		return nil, nil, c.err
	}
	dir := f.path(ckptPrefix, c.number)
	private, err := readPart(f.d, filepath.Join(dir, privateName), c.m.Private)
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, stateName)
	b, err := readPart(f.d, path, c.m.State)
	if err != nil {
		return nil, nil, err
	}
	s, err := wire.ParseState(b, f.c.Nodes, f.c.PageSize)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Number != c.number || !s.T.Equal(c.m.T) || !s.V.Equal(c.m.V) {
		return nil, nil, fmt.Errorf("%s: %w", path, damaged("it is of checkpoint %d, T %v", s.Number, s.T))
	}
	return s, private, f.fill(s, c)
}

// fill gives a state its pages.
func (f *folder) fill(s *dsm.State, c *ckpt) error {
	bodies := map[dsm.Page]*dsm.SavedPage{}
	for i := range s.Pages {
		bodies[s.Pages[i].Page] = &s.Pages[i]
	}
	return f.each(c, func(e entry, b []byte) error {
		p := bodies[e.page]
		if p == nil {
			return damaged("page %d has contents and no state", e.page)
		}
		p.V, p.Bytes = e.v.Clone(), b
		return nil
	})
}

// each reads all pages of a checkpoint that are not discarded, file by file.
func (f *folder) each(c *ckpt, do func(entry, []byte) error) error {
	byPlace := slices.Clone(c.entries)
	slices.SortFunc(byPlace, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.at.segment, b.at.segment), cmp.Compare(a.at.slot, b.at.slot))
	})
	var gone bitmap
	if k := f.win.find(c.number); k != nil {
		gone = k.Gone
	}
	byPlace = slices.DeleteFunc(byPlace, func(e entry) bool { return gone.has(e.page) })
	for len(byPlace) > 0 {
		number := byPlace[0].at.segment
		n := slices.IndexFunc(byPlace, func(e entry) bool { return e.at.segment != number })
		if n < 0 {
			n = len(byPlace)
		}
		if err := f.eachOf(c, byPlace[:n], do); err != nil {
			return err
		}
		byPlace = byPlace[n:]
	}
	return nil
}

// eachOf does that for those of one file.
func (f *folder) eachOf(c *ckpt, entries []entry, do func(entry, []byte) error) error {
	pages, err := f.segment(c, entries[0].at.segment)
	if err != nil {
		return err
	}
	defer pages.Close()
	for _, e := range entries {
		b, err := f.page(pages, e)
		if err == nil {
			err = do(e, b)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.path(ckptPrefix, c.number), err)
		}
	}
	return nil
}

// segment opens a file of pages, if it has as many as it should.
func (f *folder) segment(c *ckpt, number uint32) (file, error) {
	i := slices.IndexFunc(c.m.Segments, func(s segment) bool { return s.Number == number })
	s := c.m.Segments[i] // parseIndex has seen that it is there
	path := f.segmentPath(c, number)
	pages, err := f.d.open(path)
	if err != nil {
		return nil, err
	}
	size, err := pages.Size()
	if err == nil && size != int64(s.Pages)*int64(f.c.PageSize) {
		err = fmt.Errorf("%s: %w", path, damaged("%d bytes, not %d pages of %d", size, s.Pages, f.c.PageSize))
	}
	if err != nil {
		pages.Close()
		return nil, err
	}
	return pages, nil
}

func (f *folder) segmentPath(c *ckpt, number uint32) string {
	return filepath.Join(f.path(ckptPrefix, c.number), segment{Number: number}.name())
}

// page reads one page and compares it with what was written.
func (f *folder) page(pages file, e entry) ([]byte, error) {
	b := make([]byte, f.c.PageSize)
	if _, err := pages.ReadAt(b, int64(e.at.slot)*int64(f.c.PageSize)); err != nil {
		return nil, fmt.Errorf("page %d in pages-%d: %w", e.page, e.at.segment, err)
	}
	if got := checksum(b); got != e.crc {
		return nil, damaged("page %d in pages-%d has CRC32C %08x, not %08x", e.page, e.at.segment, got, e.crc)
	}
	return b, nil
}

// read returns a page of a checkpoint.
func (f *folder) read(number uint32, p dsm.Page) ([]byte, error) {
	c := f.find(number)
	switch {
	case c == nil:
		return nil, fmt.Errorf("%s: checkpoint %d is not kept", f.dir, number)
	case c.err != nil:
		return nil, c.err
	}
	e, ok := find(c.entries, p)
	if !ok || f.win.find(number).Gone.has(p) {
		return nil, fmt.Errorf("%s: checkpoint %d has no page %d", f.dir, number, p)
	}
	var page []byte
	err := f.eachOf(c, []entry{e}, func(_ entry, b []byte) error { page = b; return nil })
	return page, err
}
