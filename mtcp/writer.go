// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Writer is the writing end of a stream in a process.
type Writer struct {
	Pos  uint64 // next byte the application writes
	Head uint64 // bytes before it have been passed on
	NDI  bool   // nondeterministic interval: nothing is passed on (§2.4.4)
}

// NewWriter begins at a snapshot when bytes up to head have been passed on.
func NewWriter(lsw, head uint64, ndi bool) (Writer, error) {
	if ndi && lsw < head {
		return Writer{}, &DivergedError{Stream: true, Where: lsw, Was: "output", Is: "a nondeterministic interval"}
	}
	return Writer{Pos: lsw, Head: head, NDI: ndi}, nil
}

// Swallow returns how many of the next n bytes have been written before.
func (w Writer) Swallow(n uint64) uint64 {
	if w.Pos >= w.Head {
		return 0
	}
	return min(n, w.Head-w.Pos)
}

// Held returns the bytes that wait for the next snapshot, or that one has
// released and nobody has passed on yet.
func (w Writer) Held() Span { return Span{w.Head, max(w.Head, w.Pos)} }

// Holds reports that what is written and not swallowed is put aside: the
// interval is nondeterministic, or older output still waits to be passed on.
func (w Writer) Holds() bool { return w.NDI || w.Head < w.Pos }

// Write passes over n bytes, which the caller has swallowed, put aside if
// the writer Holds, or passed on.
func (w *Writer) Write(n uint64) {
	holds := w.Holds()
	w.Pos += n
	if !holds {
		w.Head = max(w.Head, w.Pos)
	}
}

// Passed says that released bytes up to off have been passed on.
func (w *Writer) Passed(off uint64) { w.Head = off }

// Export is a snapshot taken here; ndi tells the kind of the interval that
// begins. It returns what may now be passed on. A nondeterministic interval
// cannot begin amid output of an earlier run: what the reader has seen there
// came of choices that are lost.
func (w *Writer) Export(ndi bool) (Span, error) {
	if ndi && w.Pos < w.Head {
		return Span{}, &DivergedError{Stream: true, Where: w.Pos, Was: fmt.Sprintf("output up to %d", w.Head), Is: "a nondeterministic interval"}
	}
	w.NDI = ndi
	return w.Held(), nil
}
