// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
)

const (
	pageShift = 12
	pageSize  = 1 << pageShift

	pagePresent = 1 << 0
	pagePS      = 1 << 7 // a huge page, in levels 2 (2 MiB) and 3 (1 GiB)

	// physMask keeps bits 12..51 of an entry; above lie NX and protection keys.
	physMask = 0x000ffffffffff000
)

// pageTables walks the target's own page tables, remotely and level by level.
// Every entry is hostile: a walk takes at most `levels` reads whatever they say.
type pageTables struct {
	root   uint64 // physical address of the top level
	levels int    // 4 or 5; 0: the manifest does not tell
}

// frames are the physical pages of virtual ones. They are believed for one compound
// read: what a running target has freed it maps anew, another module's memory
// perhaps, and no generation tells of it.
type frames map[uint64]uint64

func (f frames) lookup(va uint64) (uint64, bool) {
	pa, ok := f[va>>pageShift]
	return pa | va&(pageSize-1), ok
}

func newPageTables(m *Manifest) pageTables {
	root, ok := m.Value("page_table_root")
	levels, _ := m.Value("page_table_levels")
	if !ok || levels < 4 || levels > 5 {
		return pageTables{}
	}
	return pageTables{root: root & physMask, levels: int(levels)}
}

// walk is one virtual page on its way down.
type walk struct {
	va    uint64
	table uint64 // physical address of the table of the current level
	done  bool
}

// translate finds the pages that reads[walks...] touch: one batch a level for all
// of them.
func (t *Target) translate(ctx context.Context, reads []VARead, walks []int, batch int) (frames, error) {
	f, p := frames{}, t.space.tables
	var todo []*walk
	pages := map[uint64]*walk{}
	for _, i := range walks {
		first := reads[i].VA &^ (pageSize - 1)
		last := (reads[i].VA + uint64(len(reads[i].Buf)) - 1) &^ (pageSize - 1)
		for va := first; ; va += pageSize {
			if pages[va] == nil {
				pages[va] = &walk{va: va, table: p.root}
				todo = append(todo, pages[va])
			}
			if va == last {
				break
			}
		}
	}
	for level := p.levels; level >= 1; level-- {
		if err := t.walkLevel(ctx, f, todo, level, batch); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// walkLevel reads one entry for each page that is not yet done.
func (t *Target) walkLevel(ctx context.Context, f frames, todo []*walk, level, batch int) error {
	var reads []VARead
	var whose []*walk
	shift := pageShift + 9*(level-1)
	for _, w := range todo {
		if w.done {
			continue
		}
		entry := w.table + (w.va>>shift&511)*8
		reads = append(reads, VARead{VA: t.space.base + entry, Buf: make([]byte, 8)})
		whose = append(whose, w)
	}
	if len(reads) == 0 {
		return nil
	}
	pieces := make([]piece, 0, len(reads))
	for i := range reads {
		op, ok := t.space.direct(reads[i].VA, reads[i].Buf)
		if !ok || len(op.Buf) < 8 {
			reads[i].Err = &AddressError{whose[i].va, "its page table lies outside the target's memory"}
			continue
		}
		pieces = append(pieces, piece{i, op})
	}
	if err := t.runPieces(ctx, reads, pieces, batch); err != nil {
		return err
	}
	for i, w := range whose {
		if w.done = reads[i].Err != nil; !w.done {
			f.step(w, binary.LittleEndian.Uint64(reads[i].Buf), level, shift)
		}
	}
	return nil
}

// step follows one entry.
func (f frames) step(w *walk, entry uint64, level, shift int) {
	switch {
	case entry&pagePresent == 0:
		w.done = true
	case level == 1, entry&pagePS != 0 && level <= 3:
		offset := w.va & (1<<shift - 1)
		f[w.va>>pageShift] = (entry&physMask&^(1<<shift-1) | offset) &^ (pageSize - 1)
		w.done = true
	default:
		w.table = entry & physMask
	}
}

// splitPages cuts a translated read into pages.
func (t *Target) splitPages(f frames, pieces []piece, reads []VARead, i int) []piece {
	r := &reads[i]
	va := r.VA
	for buf := r.Buf; len(buf) > 0; {
		n := min(uint64(len(buf)), pageSize-va&(pageSize-1))
		pa, ok := f.lookup(va)
		if !ok {
			r.Err = &AddressError{va, "not mapped"}
			return pieces
		}
		op, ok := t.space.direct(t.space.base+pa, buf[:n])
		if !ok || uint64(len(op.Buf)) < n {
			r.Err = &AddressError{va, "mapped to what is not the target's memory"}
			return pieces
		}
		pieces = append(pieces, piece{i, op})
		va += n
		buf = buf[n:]
	}
	return pieces
}
