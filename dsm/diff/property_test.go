// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// drawPages is a twin and what became of it: few bytes changed, or many, or a
// byte here and there with others between.
func drawPages(t *rapid.T) (twin, page []byte) {
	size := rapid.SampledFrom([]int{1, 7, 64, 255, 256, 257, 1000, 4096}).Draw(t, "size")
	twin = bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "pattern"), size)[:size]
	page = bytes.Clone(twin)
	for range rapid.IntRange(0, 40).Draw(t, "writes") {
		at := rapid.IntRange(0, size-1).Draw(t, "at")
		for i := range rapid.IntRange(1, 12).Draw(t, "bytes") {
			if at+i < size {
				page[at+i] = rapid.Byte().Draw(t, "value")
			}
		}
	}
	return twin, page
}

// A diff is exact: it makes the page of the twin, it has every byte that
// changed and none that did not, and it is in order.
func TestDiffIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		twin, page := drawPages(t)
		d := Make(twin, page)
		if !d.Fits(len(page)) {
			t.Fatalf("not in order: %v", d)
		}
		in := make([]bool, len(page))
		for _, r := range d {
			for i := range r.Data {
				in[int(r.Off)+i] = true
			}
		}
		for i := range page {
			if in[i] != (twin[i] != page[i]) {
				t.Fatalf("byte %d: in the diff %v, %d was %d", i, in[i], page[i], twin[i])
			}
		}
		got := bytes.Clone(twin)
		d.Apply(got)
		if !bytes.Equal(got, page) {
			t.Fatal("the diff does not make the page of its twin")
		}
	})
}

// Two writers of neighbouring bytes do not undo each other, in either order.
func TestWritersOfOneWord(t *testing.T) {
	twin := make([]byte, 16)
	a, b := bytes.Clone(twin), bytes.Clone(twin)
	a[3], a[5], b[4] = 1, 2, 3
	da, db := Make(twin, a), Make(twin, b)
	for _, order := range [][]Diff{{da, db}, {db, da}} {
		home := bytes.Clone(twin)
		for _, d := range order {
			d.Apply(home)
		}
		if home[3] != 1 || home[4] != 3 || home[5] != 2 {
			t.Errorf("%v", home)
		}
	}
}

func TestFits(t *testing.T) {
	for _, tc := range []struct {
		d    Diff
		fits bool
	}{
		{nil, true},
		{Diff{{0, []byte{1}}, {2, []byte{1}}}, true},
		{Diff{{0, []byte{1}}, {1, []byte{1}}}, false}, // nothing between
		{Diff{{4, []byte{1}}, {2, []byte{1}}}, false},
		{Diff{{4, nil}}, false},
		{Diff{{7, []byte{1, 2}}}, false},
	} {
		if tc.d.Fits(8) != tc.fits {
			t.Errorf("%v: %v", tc.d, !tc.fits)
		}
	}
}
