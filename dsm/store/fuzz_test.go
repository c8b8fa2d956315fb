// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"fmt"
	"testing"
)

// sealed has the checksum that a text needs to be looked at.
func sealed(text []byte) []byte {
	return fmt.Appendf(bytes.Clone(text), sealFormat, checksum(text))
}

func unsealed(b []byte) []byte { return b[:len(b)-sealSize] }

// FuzzManifest: what is taken for a manifest is one, and no index makes it read
// where nothing is.
func FuzzManifest(f *testing.F) {
	n := three(&testing.T{}, "a")
	for _, number := range []uint32{1, 3} {
		dir := n.s.folders[0].path(ckptPrefix, number)
		m, _ := read(n.d, dir+"/"+manifestName, mostJSON)
		i, _ := read(n.d, dir+"/"+indexName, mostPart)
		f.Add(unsealed(m), i)
	}
	f.Fuzz(func(t *testing.T, text, index []byte) {
		m := &manifest{}
		if unseal(sealed(text), m) != nil || m.check() != nil {
			return
		}
		again, err := seal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := unseal(again, &manifest{}); err != nil {
			t.Fatal(err)
		}
		if m.Nodes > 1000 {
			return
		}
		entries, err := parseIndex(index, m)
		if err != nil {
			return
		}
		if !bytes.Equal(appendIndex(nil, entries), index) {
			t.Fatal("an index comes back otherwise")
		}
		d := newMemDisk()
		folder := &folder{d: d, dir: "a", c: m.cluster}
		_, _, err = folder.contents(&ckpt{number: m.Number, m: m, entries: entries})
		if err == nil {
			t.Fatal("there is no such checkpoint")
		}
		_ = folder.each(&ckpt{number: m.Number, m: m, entries: entries}, func(entry, []byte) error { return nil })
	})
}

// FuzzWindow: what is taken for a window is one.
func FuzzWindow(f *testing.F) {
	n := three(&testing.T{}, "a")
	b, _ := read(n.d, "a/"+windowName, mostJSON)
	f.Add(unsealed(b))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := &window{}
		if unseal(sealed(text), w) != nil || w.check() != nil {
			return
		}
		for _, k := range w.Kept {
			if w.find(k.Number) == nil || len(k.V) != w.Nodes {
				t.Fatal("a checkpoint is not found")
			}
			next := w.without(k.Number)
			if next.find(k.Number) != nil || len(next.Kept) != len(w.Kept)-1 {
				t.Fatal("a checkpoint is there twice")
			}
		}
	})
}
