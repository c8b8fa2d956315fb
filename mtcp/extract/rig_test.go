// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/internal/seqnum"
	"lazystate/mtcp/extract/extracttest"
)

var kernels = []string{"6.1", "6.12"}

// rig is a synthetic machine with sockets, and a reader of it.
type rig struct {
	*extracttest.Kernel
	machine *bdtest.Target
	target  *backdoor.Target
	x       *Extractor
}

func newRig(t testing.TB, kernel string, ram int, seed uint64) *rig {
	t.Helper()
	members, values := extracttest.Manifest(kernel)
	m := bdtest.New(bdtest.WithRAM(ram), bdtest.WithManifest(members, values), bdtest.ByHand())
	target, err := backdoor.Open(t.Context(), m.Memory())
	if err != nil {
		t.Fatal(err)
	}
	x, err := New(target, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{extracttest.New(m, kernel, seed), m, target, x}
}

func ends(i int) extracttest.Ends {
	return extracttest.Ends{
		Local:  netip.AddrPortFrom(netip.MustParseAddr("10.9.0.100"), 8000),
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), uint16(40000+i)),
		// Both wrap around soon.
		Receive: seqnum.Value(0xfffff000 + uint32(i)), Send: seqnum.Value(0xffffe000 + uint32(i)),
	}
}

func (r *rig) one(t testing.TB, s *extracttest.Sock) Found {
	t.Helper()
	found, err := r.x.Extract(t.Context(), []uint64{s.Addr})
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

// wrong compares what was found with what the world outside knows. What is lost
// is named, and so not wrong; it is for the caller to say how often that may be.
func wrong(f *Found, s *extracttest.Sock) error {
	if f.Err != nil {
		var l *LostError
		if !errors.As(f.Err, &l) || l.Reason != Torn && l.Reason != Unmovable {
			return f.Err
		}
		if !f.Held && l.Reason == Torn {
			return fmt.Errorf("nobody was inside: %w", f.Err)
		}
		return nil
	}
	d := f.Dump
	inEnd := d.RcvNxt
	if d.State.PeerFin() {
		inEnd--
	}
	read := inEnd - seqnum.Value(len(d.In))
	outEnd := d.Una + seqnum.Value(len(d.Out))
	switch {
	case !bytes.Equal(d.In, extracttest.Bytes(false, read, inEnd)):
		return fmt.Errorf("receive queue from %d to %d is not what was received", read, inEnd)
	case read.Less(s.Read) && !(d.State.PeerFin() && read+1 == s.Read), s.Came.Less(d.RcvNxt):
		return fmt.Errorf("read to %d, received to %d; the application has read to %d, the peer sent to %d", read, d.RcvNxt, s.Read, s.Came)
	case d.RcvNxt.Less(s.Acked):
		return fmt.Errorf("received to %d, acknowledged to %d", d.RcvNxt, s.Acked)
	case d.Write.Less(s.Written), s.Begun.Less(d.Write):
		return fmt.Errorf("written to %d, not between %d and %d", d.Write, s.Written, s.Begun)
	case d.Nxt.Less(s.Wire):
		return fmt.Errorf("sent to %d, a device has had all to %d", d.Nxt, s.Wire)
	case s.Una.Less(d.Una):
		return fmt.Errorf("una %d, acknowledged to %d", d.Una, s.Una)
	}
	want := extracttest.Bytes(true, d.Una, outEnd)
	for _, h := range f.Holes {
		clear(want[d.Una.Size(h.From):d.Una.Size(h.To)])
	}
	if !bytes.Equal(d.Out, want) {
		at := 0
		for d.Out[at] == want[at] {
			at++
		}
		return fmt.Errorf("send queue from %d to %d, holes %v, is not what was written: %x at %d, not %x", d.Una, outEnd, f.Holes, d.Out[at:min(at+16, len(want))], d.Una+seqnum.Value(at), want[at:min(at+16, len(want))])
	}
	return placed(f, s, read, outEnd)
}

// placed compares the positions with the numbers.
func placed(f *Found, s *extracttest.Sock, read, end seqnum.Value) error {
	receive, send := s.OffsetFirsts()
	gotRead, gotWritten, ok := f.Positions(Firsts{receive, send})
	if !ok || gotRead != uint64(receive.Size(read)) || gotWritten != uint64(send.Size(end)) && !f.Dump.State.OwnFinAcked() {
		return fmt.Errorf("positions %d and %d, %v; from %d to %d and from %d to %d", gotRead, gotWritten, ok, receive, read, send, end)
	}
	if own, ok := f.Firsts(); ok && own != (Firsts{receive, send}) {
		return fmt.Errorf("first numbers %+v, not %d and %d", own, receive, send)
	}
	return nil
}
