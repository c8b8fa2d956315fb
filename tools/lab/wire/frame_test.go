// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func frames(t *rapid.T) []Frame {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Frame {
		return Frame{
			Kind: Kind(rapid.IntRange(1, 8).Draw(t, "kind")), ID: rapid.Uint32().Draw(t, "id"),
			Body: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body"),
		}
	}), 0, 8).Draw(t, "frames")
}

func readAll(b []byte) []Frame {
	r := NewReader(bytes.NewReader(b))
	var all []Frame
	for {
		f, err := r.Next()
		if err != nil {
			return all
		}
		all = append(all, f)
	}
}

func same(a, b []Frame) bool {
	return slices.EqualFunc(a, b, func(x, y Frame) bool {
		return x.Kind == y.Kind && x.ID == y.ID && bytes.Equal(x.Body, y.Body)
	})
}

func TestFramesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		w := NewWriter(&b)
		want := frames(t)
		for _, f := range want {
			if err := w.Write(f); err != nil {
				t.Fatal(err)
			}
		}
		if got := readAll(b.Bytes()); !same(got, want) {
			t.Fatalf("wrote %v, read %v", want, got)
		}
	})
}

// A reset tears a frame anywhere; what the new boot says arrives whole.
func TestFrameTornByReset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var torn, after bytes.Buffer
		old := Frame{Kind: KindStdout, ID: 1, Body: rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "body")}
		if err := NewWriter(&torn).Write(old); err != nil {
			t.Fatal(err)
		}
		cut := rapid.IntRange(0, torn.Len()-1).Draw(t, "cut")
		w := NewWriter(&after)
		if err := w.Preamble(); err != nil {
			t.Fatal(err)
		}
		want := append([]Frame{{Kind: KindHello, Body: []byte("{}")}}, frames(t)...)
		for _, f := range want {
			if err := w.Write(f); err != nil {
				t.Fatal(err)
			}
		}
		got := readAll(append(torn.Bytes()[:cut:cut], after.Bytes()...))
		if len(got) > 0 && same(got[:1], []Frame{old}) {
			got = got[1:] // all that was cut off was zeros, as the preamble is: it is the frame
		}
		if !same(got, want) {
			t.Fatalf("after a frame cut at %d: %s", cut, cmp.Diff(want, got))
		}
	})
}

// Damage costs the damaged frame, never what follows it.
func TestDamagedFrameIsSkipped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		w := NewWriter(&b)
		body := rapid.SliceOfN(rapid.Byte(), 1, 400).Draw(t, "body")
		if err := w.Write(Frame{Kind: KindStdout, ID: 1, Body: body}); err != nil {
			t.Fatal(err)
		}
		at := rapid.IntRange(0, b.Len()-1).Draw(t, "at")
		b.Bytes()[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		next := Frame{Kind: KindReply, ID: 2, Body: []byte("{}")}
		if err := w.Preamble(); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(next); err != nil {
			t.Fatal(err)
		}
		if got := readAll(b.Bytes()); !same(got, []Frame{next}) {
			t.Fatalf("a bit flipped at %d: %v", at, got)
		}
	})
}

func TestBodyTooLarge(t *testing.T) {
	if err := NewWriter(io.Discard).Write(Frame{Body: make([]byte, MaxBody+1)}); err == nil {
		t.Error("it was written")
	}
}

func FuzzDecodeFrames(f *testing.F) {
	var b bytes.Buffer
	w := NewWriter(&b)
	w.Write(Frame{Kind: KindHello, Body: []byte(`{"boot_id":"x"}`)})
	w.Write(Frame{Kind: KindStdout, ID: 7, Body: make([]byte, 100)})
	f.Add(b.Bytes())
	f.Add(b.Bytes()[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		for n := 0; ; n++ {
			got, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				return
			}
			if len(got.Body) > MaxBody || n > len(b)/headerSize {
				t.Fatalf("frame %d of %d bytes from %d bytes", n, len(got.Body), len(b))
			}
		}
	})
}
