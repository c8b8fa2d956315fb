// SPDX-License-Identifier: Apache-2.0

package store

import (
	"slices"

	"lazystate/dsm"
)

// discard takes a checkpoint out of the window (CGC). Its room is free after the
// next reclaim.
func (f *folder) discard(number uint32) {
	if f.win.find(number) == nil {
		return
	}
	f.win, f.dirty = f.win.without(number), true
	f.ckpts = slices.DeleteFunc(slices.Clone(f.ckpts), func(c *ckpt) bool { return c.number == number })
	f.trash = append(f.trash, number)
}

// discardPage does that for one page of it (Theorem 1).
func (f *folder) discardPage(number uint32, p dsm.Page) {
	c := f.find(number)
	if c == nil || c.err != nil {
		return
	}
	e, ok := find(c.entries, p)
	k := f.win.find(number)
	if !ok || k.Gone.has(p) {
		return
	}
	next := f.win
	next.Kept = slices.Clone(f.win.Kept)
	k = next.find(number)
	k.Gone = slices.Clone(k.Gone)
	k.Gone.set(p)
	f.win, f.dirty = next, true
	f.punch = append(f.punch, e.at)
}

// reclaim makes discards last and frees their room: first that of whole checkpoints,
// for which a full disk has room enough.
func (f *folder) reclaim() error {
	if !f.dirty && len(f.trash) == 0 && len(f.punch) == 0 {
		return nil
	}
	if err := f.mine(); err != nil {
		return err
	}
	if err := f.retire(); err != nil {
		return err
	}
	if err := f.note(f.win); err != nil {
		return err
	}
	for _, number := range f.trash {
		if err := removeAll(f.d, f.path(oldPrefix, number)); err != nil {
			return err
		}
	}
	f.trash = nil
	f.punchAll()
	return nil
}

// retire calls discarded checkpoints old, and empties them. The empty folder stays
// until the window does not have it either.
func (f *folder) retire() error {
	renamed := false
	for _, number := range f.trash {
		if _, err := f.d.names(f.path(oldPrefix, number)); err == nil {
			continue // the last time failed later
		}
		if _, err := f.d.names(f.path(ckptPrefix, number)); err != nil {
			continue // it was missing
		}
		if err := f.d.rename(f.path(ckptPrefix, number), f.path(oldPrefix, number)); err != nil {
			return err
		}
		renamed = true
	}
	if renamed {
		if err := f.d.sync(f.dir); err != nil {
			return err
		}
	}
	for _, number := range f.trash {
		if err := empty(f.d, f.path(oldPrefix, number)); err != nil {
			return err
		}
	}
	return nil
}

// punchAll gives back the room of pages that no checkpoint has any more. It is no
// loss if a file system cannot.
func (f *folder) punchAll() {
	if len(f.punch) == 0 {
		return
	}
	used := map[place]bool{}
	for _, c := range f.ckpts {
		k := f.win.find(c.number)
		for _, e := range c.entries {
			if !k.Gone.has(e.page) {
				used[e.at] = true
			}
		}
	}
	for _, at := range f.punch {
		if !used[at] {
			f.punchOne(at)
		}
	}
	f.punch = nil
}

func (f *folder) punchOne(at place) {
	for _, c := range f.ckpts {
		if c.err != nil || !slices.ContainsFunc(c.m.Segments, func(s segment) bool { return s.Number == at.segment }) {
			continue
		}
		size := int64(f.c.PageSize)
		_ = f.d.punch(f.segmentPath(c, at.segment), int64(at.slot)*size, size)
		return
	}
}
