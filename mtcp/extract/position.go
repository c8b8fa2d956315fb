// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Firsts are the numbers of the first byte from and to the peer, as the kernel
// counts (bytes_received, bytes_acked): the socket's for life.
type Firsts struct{ Receive, Send seqnum.Value }

// Firsts takes them from the socket's own counts. Where somebody was inside,
// number and count may be of two moments (the compiler stores bytes_received
// behind rcv_nxt): false.
func (f *Found) Firsts() (Firsts, bool) {
	return Firsts{f.rcvNxt - seqnum.Value(f.received), f.sndUna - seqnum.Value(f.acked)}, !f.Held
}

// Positions are how far the application had read and written, as the kernel
// counts, without FINs. The counts serve for the upper half alone, so it does not
// matter which moment they are of. False: the numbers lie before the first byte.
func (f *Found) Positions(first Firsts) (read, written uint64, ok bool) {
	d := f.Dump
	inEnd, outEnd := d.RcvNxt, d.Write
	if d.State.PeerFin() {
		inEnd--
	}
	if d.State.OwnFin() {
		outEnd--
	}
	read, ok = mtcp.Stream{First: first.Receive}.Offset(inEnd-seqnum.Value(len(d.In)), f.received)
	if !ok {
		return 0, 0, false
	}
	written, ok = mtcp.Stream{First: first.Send}.Offset(outEnd, f.acked)
	return read, written, ok
}

// Whole reports whether no hole lies in [from, to) of the send queue; the first
// that does is returned.
func (f *Found) Whole(from, to seqnum.Value) (Hole, bool) {
	for _, h := range f.Holes {
		if from.Less(h.To) && h.From.Less(to) {
			return h, false
		}
	}
	return Hole{}, true
}

// End cuts the send queue at a number from which on a replay can write it again:
// nothing behind it may have been sent. It reports whether it can be cut there.
func (f *Found) End(at seqnum.Value) bool {
	d := f.Dump
	if d.State.OwnFin() || at.Less(d.Nxt) || d.Write.Less(at) {
		return false
	}
	d.Out = d.Out[:len(d.Out)-int(at.Size(d.Write))]
	d.Write = at
	return true
}
