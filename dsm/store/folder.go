// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"lazystate/dsm"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
)

// folder is one copy of a store.
type folder struct {
	d     disk
	dir   string
	c     cluster
	win   window
	ckpts []*ckpt // those of the window
	trash []uint32
	punch []place // of pages that were discarded
	dirty bool    // the window on the disk is older than win

	written atomic.Uint64 // bytes, for checkpoints
}

// ckpt is a checkpoint that is in the window.
type ckpt struct {
	number  uint32
	m       *manifest
	entries []entry
	err     error // m and entries could not be read, and this is why
}

// Names of a checkpoint's folder: as it is written, when it is whole, when it is
// discarded, when it never counted, when it cannot be read.
const (
	newPrefix     = "new-"
	ckptPrefix    = "ckpt-"
	oldPrefix     = "old-"
	deadPrefix    = "dead-"
	damagedPrefix = "damaged-"
)

func (f *folder) path(prefix string, number uint32) string {
	return filepath.Join(f.dir, prefix+strconv.FormatUint(uint64(number), 10))
}

// numbered returns n of "prefix-n".
func numbered(name, prefix string) (uint32, bool) {
	text, ok := strings.CutPrefix(name, prefix)
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), ok && err == nil && text == strconv.FormatUint(n, 10)
}

// openFolder reads what is there, and clears away what a crash has left.
func openFolder(d disk, dir string, c cluster) (*folder, error) {
	f := &folder{d: d, dir: dir, c: c, win: window{cluster: c}}
	names, err := d.names(dir)
	if err != nil {
		return nil, err
	}
	w, err := readWindow(d, dir)
	switch {
	case err == nil:
		if err := w.is(c); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		f.win = *w
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("which checkpoints count, and of which incarnation: %w", err)
	case slices.ContainsFunc(names, isCheckpoint):
		return nil, fmt.Errorf("%s has checkpoints, and the file %q that says which count is missing", dir, windowName)
	}
	if err := f.tidy(names); err != nil {
		return nil, err
	}
	for _, k := range f.win.Kept {
		f.ckpts = append(f.ckpts, f.load(k.Number))
	}
	return f, f.adopt(names)
}

func isCheckpoint(name string) bool { _, ok := numbered(name, ckptPrefix); return ok }

// tidy ends what was under way. A checkpoint is discarded once it is called old,
// whether the window says so yet or not: that may need room on a full disk.
func (f *folder) tidy(names []string) error {
	for _, name := range names {
		if n, ok := numbered(name, oldPrefix); ok && f.win.find(n) != nil {
			f.win, f.dirty = f.win.without(n), true
		}
	}
	if f.dirty {
		if err := f.note(f.win); err != nil {
			return err
		}
	}
	for _, name := range names {
		if under(name, newPrefix, oldPrefix, deadPrefix) || name == windowName+".new" {
			if err := removeAll(f.d, filepath.Join(f.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func under(name string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { _, ok := numbered(name, p); return ok })
}

// load reads what a checkpoint of the window has, but for its contents.
func (f *folder) load(number uint32) *ckpt {
	c := &ckpt{number: number}
	c.m, c.entries, c.err = f.outline(number)
	return c
}

func (f *folder) outline(number uint32) (*manifest, []entry, error) {
	dir := f.path(ckptPrefix, number)
	m, err := readManifest(f.d, dir)
	if err != nil {
		return nil, nil, err
	}
	if err := m.is(f.c); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if m.Number != number {
		return nil, nil, fmt.Errorf("%s: %w", dir, damaged("it is checkpoint %d", m.Number))
	}
	path := filepath.Join(dir, indexName)
	b, err := readPart(f.d, path, m.Index)
	if err != nil {
		return nil, nil, err
	}
	entries, err := parseIndex(b, m)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, entries, nil
}

// adopt takes in a checkpoint that is whole, where the crash came before the window
// had it, and clears away others that no window has: of an earlier incarnation, that
// lived on when it should not, or of a save that failed.
func (f *folder) adopt(names []string) error {
	for _, name := range names {
		n, ok := numbered(name, ckptPrefix)
		if !ok || f.win.find(n) != nil || slices.ContainsFunc(f.ckpts, func(c *ckpt) bool { return c.number == n }) {
			continue
		}
		c := f.load(n)
		if c.err == nil && n == f.win.last()+1 && c.m.Incarnation == f.win.Incarnation {
			if _, _, err := f.contents(c); err == nil {
				f.keep(c)
				continue
			}
		}
		if err := f.bury(n); err != nil {
			return err
		}
	}
	return nil
}

// keep makes a checkpoint the newest of the window.
func (f *folder) keep(c *ckpt) {
	f.ckpts = append(f.ckpts, c)
	f.win.Kept = append(slices.Clone(f.win.Kept), kept{Number: c.number, V: c.m.V})
	f.dirty = true
}

// bury removes a checkpoint that does not count.
func (f *folder) bury(number uint32) error {
	dead := f.path(deadPrefix, number)
	if err := removeAll(f.d, dead); err != nil {
		return err
	}
	if err := f.d.rename(f.path(ckptPrefix, number), dead); err != nil {
		return err
	}
	if err := f.d.sync(f.dir); err != nil {
		return err
	}
	return removeAll(f.d, dead)
}

// note replaces the window on the disk.
func (f *folder) note(w window) error {
	if err := f.mine(); err != nil {
		return err
	}
	if err := writeWindow(f.d, f.dir, w); err != nil {
		return err
	}
	f.win, f.dirty = w, false
	return nil
}

// mine refuses to touch a folder that a later incarnation has taken: where locks
// do not reach, two hosts may have it.
func (f *folder) mine() error {
	w, err := readWindow(f.d, f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && w.Incarnation > f.win.Incarnation {
		err = fmt.Errorf("%s: incarnation %d has it, this is incarnation %d: %w", f.dir, w.Incarnation, f.win.Incarnation, ErrSuperseded)
	}
	return err
}

// ErrSuperseded is a folder that a later incarnation of the node has taken over.
var ErrSuperseded = errors.New("superseded")

func (f *folder) find(number uint32) *ckpt {
	for _, c := range f.ckpts {
		if c.number == number {
			return c
		}
	}
	return nil
}

// past is a checkpoint's entry in the core's window. One that cannot be read seems
// to have every page in its first version: it is looked for there then, and found
// unreadable.
func (f *folder) past(k kept) logs.Kept {
	p := logs.Kept{Number: k.Number, V: k.V.Clone(), Pages: map[dsm.Page]vtime.Time{}}
	c := f.find(k.Number)
	if c.err != nil {
		first := vtime.New(f.c.Nodes)
		for page := range f.c.Pages {
			p.Pages[dsm.Page(page)] = first
		}
		return p
	}
	for _, e := range c.entries {
		if !k.Gone.has(e.page) {
			p.Pages[e.page] = e.v
		}
	}
	return p
}
