// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"path/filepath"
	"slices"

	"lazystate/dsm"
	"lazystate/dsm/vtime"
)

// window is what a folder says of itself.
type window struct {
	cluster
	Incarnation uint32 `json:"incarnation"`
	Kept        []kept `json:"kept"` // oldest first
}

// kept is a checkpoint that was saved and not discarded. V_H stands here too: it
// is asked for if the checkpoint itself cannot be read.
type kept struct {
	Number uint32     `json:"number"`
	V      vtime.Time `json:"v_h"`
	Gone   bitmap     `json:"gone,omitempty"` // pages of it that were discarded
}

// bitmap has a bit a page, the first in the lowest of the first byte.
type bitmap []byte

func (b bitmap) has(p dsm.Page) bool { return int(p/8) < len(b) && b[p/8]>>(p%8)&1 != 0 }

func (b *bitmap) set(p dsm.Page) {
	if missing := int(p/8) + 1 - len(*b); missing > 0 {
		*b = append(*b, make([]byte, missing)...)
	}
	(*b)[p/8] |= 1 << (p % 8)
}

func (w *window) check() error {
	if err := w.cluster.check(); err != nil {
		return err
	}
	for i, k := range w.Kept {
		switch {
		case k.Number == 0 || i > 0 && k.Number <= w.Kept[i-1].Number:
			return damaged("checkpoint %d out of order", k.Number)
		case len(k.V) != w.Nodes:
			return damaged("a time of %d nodes, not %d", len(k.V), w.Nodes)
		case len(k.Gone) > (w.Pages+7)/8:
			return damaged("more pages of checkpoint %d are gone than there are", k.Number)
		}
	}
	return nil
}

// last is the number of the newest, 0 for the beginning.
func (w *window) last() uint32 {
	if len(w.Kept) == 0 {
		return 0
	}
	return w.Kept[len(w.Kept)-1].Number
}

func (w *window) find(number uint32) *kept {
	if i := slices.IndexFunc(w.Kept, func(k kept) bool { return k.Number == number }); i >= 0 {
		return &w.Kept[i]
	}
	return nil
}

// without is a window that lacks one.
func (w *window) without(number uint32) window {
	next := *w
	next.Kept = slices.DeleteFunc(slices.Clone(w.Kept), func(k kept) bool { return k.Number == number })
	return next
}

func readWindow(d disk, dir string) (*window, error) {
	path := filepath.Join(dir, windowName)
	b, err := read(d, path, mostJSON)
	if err != nil {
		return nil, err
	}
	w := &window{}
	if err := unseal(b, w); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

func writeWindow(d disk, dir string, w window) error {
	b, err := seal(w)
	if err != nil {
		return err
	}
	if len(b) > mostJSON {
		return fmt.Errorf("a window of %d bytes, at most %d can be read again", len(b), mostJSON)
	}
	return replace(d, filepath.Join(dir, windowName), b)
}
