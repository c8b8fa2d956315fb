// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"lazystate/dsm"
	"lazystate/dsm/wire"
)

// image is a checkpoint as it is written into each folder.
type image struct {
	m       manifest // without its index and segments
	state   []byte
	private []byte
	pages   []body
}

// body is a page with contents.
type body struct {
	entry
	bytes []byte
}

// encode makes files of a state. Its pages' contents lie apart.
func encode(c cluster, s *dsm.State, private []byte, incarnation uint32) (*image, error) {
	img := &image{private: private}
	outline := *s
	outline.Pages = slices.Clone(s.Pages)
	for i := range outline.Pages {
		p := &outline.Pages[i]
		if p.Bytes == nil {
			continue
		}
		img.pages = append(img.pages, body{entry{page: p.Page, v: p.V, crc: checksum(p.Bytes)}, p.Bytes})
		p.V, p.Bytes = nil, nil
	}
	slices.SortFunc(img.pages, func(a, b body) int { return cmp.Compare(a.page, b.page) })
	var err error
	if img.state, err = wire.AppendState(nil, &outline, c.Nodes, c.PageSize); err != nil {
		return nil, err
	}
	img.m = manifest{
		cluster: c, Number: s.Number, Incarnation: incarnation, Time: time.Now().UTC().Truncate(time.Millisecond),
		T: s.T, Ordinal: s.Ordinal, Barriers: s.Barriers, V: s.V,
		State: partOf(img.state), Private: partOf(private),
	}
	return img, img.m.check()
}

// save brings a checkpoint into the folder. If that fails it is as it was.
func (f *folder) save(img *image) error {
	n := img.m.Number
	if n <= f.win.last() {
		return fmt.Errorf("%s: checkpoint %d follows checkpoint %d", f.dir, n, f.win.last())
	}
	if err := f.mine(); err != nil {
		return err
	}
	if err := f.reclaim(); err != nil {
		return err
	}
	dir := f.path(newPrefix, n)
	if err := removeAll(f.d, dir); err != nil {
		return err
	}
	c, err := f.write(dir, img)
	if err == nil {
		err = f.publish(c, dir)
	}
	if err != nil {
		_ = removeAll(f.d, dir) // or the next one does
		return err
	}
	_ = removeAll(f.d, f.path(damagedPrefix, n))
	return nil
}

// write makes the checkpoint's folder, under a name that does not count.
func (f *folder) write(dir string, img *image) (*ckpt, error) {
	if err := f.d.mkdir(dir); err != nil {
		return nil, err
	}
	m := img.m
	c := &ckpt{number: m.Number, m: &m}
	fresh := f.place(dir, img, c)
	if len(fresh) > 0 {
		m.Segments = append([]segment{{m.Number, uint32(len(fresh)), uint32(len(fresh))}}, m.Segments...)
		if err := f.writePages(filepath.Join(dir, m.Segments[0].name()), fresh); err != nil {
			return nil, err
		}
	}
	index := appendIndex(nil, c.entries)
	m.Index = partOf(index)
	b, err := seal(&m)
	if err != nil {
		return nil, err
	}
	for _, p := range []struct {
		name  string
		bytes []byte
	}{{stateName, img.state}, {privateName, img.private}, {indexName, index}, {manifestName, b}} {
		err := write(f.d, filepath.Join(dir, p.name), func(w io.Writer) error { _, err := w.Write(p.bytes); return err })
		if err != nil {
			return nil, err
		}
	}
	f.written.Add(uint64(len(fresh)*m.PageSize + len(img.state) + len(img.private) + len(index) + len(b)))
	return c, f.d.sync(dir)
}

// place settles where each page lies: where the last checkpoint has it, if it is
// the same and that file is linked to, else in a new file. It returns those of that.
func (f *folder) place(dir string, img *image, c *ckpt) (fresh []body) {
	linked := f.linkSegments(dir, img, c)
	for _, b := range img.pages {
		old, same := f.same(b)
		switch {
		case same && linked[old.segment]:
			b.at = old
		default:
			b.at = place{img.m.Number, uint32(len(fresh))}
			fresh = append(fresh, b)
		}
		c.entries = append(c.entries, b.entry)
	}
	return fresh
}

// same finds a page in the last checkpoint. Its version says that nobody has
// written it since; its checksum says so too.
func (f *folder) same(b body) (place, bool) {
	if len(f.ckpts) == 0 {
		return place{}, false
	}
	last := f.ckpts[len(f.ckpts)-1]
	e, ok := find(last.entries, b.page)
	if !ok || e.crc != b.crc || !e.v.Equal(b.v) || f.win.find(last.number).Gone.has(b.page) {
		return place{}, false
	}
	return e.at, true
}

// linkSegments links to the files of the last checkpoint of which at least half is
// still in use: so no more than twice of what is kept lies on the disk. Where there
// are no links, all pages are written.
func (f *folder) linkSegments(dir string, img *image, c *ckpt) map[uint32]bool {
	linked := map[uint32]bool{}
	if len(f.ckpts) == 0 || f.ckpts[len(f.ckpts)-1].err != nil {
		return linked
	}
	used := map[uint32]uint32{}
	for _, b := range img.pages {
		if at, same := f.same(b); same {
			used[at.segment]++
		}
	}
	last := f.ckpts[len(f.ckpts)-1]
	candidates := slices.Clone(last.m.Segments)
	slices.SortFunc(candidates, func(a, b segment) int { return cmp.Compare(used[b.Number], used[a.Number]) })
	for _, s := range candidates[:min(len(candidates), mostSegments-1)] {
		n := used[s.Number]
		if n == 0 || 2*n < s.Pages {
			continue
		}
		if f.d.link(filepath.Join(f.path(ckptPrefix, last.number), s.name()), filepath.Join(dir, s.name())) == nil {
			linked[s.Number] = true
			c.m.Segments = append(c.m.Segments, segment{s.Number, s.Pages, n})
		}
	}
	slices.SortFunc(c.m.Segments, func(a, b segment) int { return cmp.Compare(b.Number, a.Number) })
	return linked
}

func (f *folder) writePages(path string, fresh []body) error {
	return write(f.d, path, func(w io.Writer) error {
		buf := bufio.NewWriterSize(w, min(1<<20, len(fresh)*len(fresh[0].bytes)))
		for _, b := range fresh {
			if _, err := buf.Write(b.bytes); err != nil {
				return err
			}
		}
		return buf.Flush()
	})
}

// publish gives the checkpoint its name, and then the window.
func (f *folder) publish(c *ckpt, dir string) error {
	final := f.path(ckptPrefix, c.number)
	if _, err := f.d.names(final); err == nil { // one that failed, or was an old incarnation's
		if err := f.bury(c.number); err != nil {
			return err
		}
	}
	if err := f.d.rename(dir, final); err != nil {
		return err
	}
	err := f.d.sync(f.dir)
	if err == nil {
		next := f.win
		next.Kept = append(slices.Clone(f.win.Kept), kept{Number: c.number, V: c.m.V})
		err = f.note(next)
	}
	if err != nil {
		f.dirty = true       // the window may have it
		_ = f.bury(c.number) // or it is taken for one that came just before a crash
		return err
	}
	f.ckpts = append(f.ckpts, c)
	return nil
}
