// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"testing"

	"lazystate/internal/netrig"
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// inState is a dump of 100 bytes down, 60 of them sent, and 40 bytes up, 30 of
// them acknowledged, none read; the application had written 1000 and read 500
// before.
func inState(s mtcp.State) (d *Dump, read, written uint64) {
	d = sample(s)
	d.Out, d.In = make([]byte, 100), make([]byte, 40)
	if s.OwnFinAcked() {
		d.Out = nil
	}
	netrig.Fill(d.Out, downStream, 1000)
	netrig.Fill(d.In, upStream, 500)
	d.Unread = 40
	d.Una = 0xffffffc0 // the numbers wrap around inside
	d.Write = d.Una + seqnum.Value(len(d.Out))
	d.Nxt = d.Una + 60
	if s.OwnFin() {
		d.Write++
		d.Nxt = d.Write // the FIN was sent, so everything was
	}
	if s.OwnFinAcked() {
		d.Una, d.Nxt = d.Write, d.Write
	}
	d.RcvNxt = 20
	d.Ack = d.RcvNxt - 10
	d.Window.Wl1 = d.Ack
	return d, 500, 1000 + uint64(len(d.Out))
}

var movable = []mtcp.State{mtcp.Established, mtcp.CloseWait, mtcp.FinWait1, mtcp.FinWait2, mtcp.Closing, mtcp.LastAck}

func cut(t *testing.T, d *Dump, read, written uint64, snap mtcp.Snapshot, next *seqnum.Value, p mtcp.Policy) (mtcp.Connection, mtcp.Move) {
	t.Helper()
	conn, up, down, err := mtcp.Place(d.Endpoint, read, written)
	if err != nil {
		t.Fatal(err)
	}
	var client mtcp.Client
	if next != nil {
		if client, err = conn.Client(*next, down); err != nil {
			t.Fatal(err)
		}
	}
	m, err := mtcp.Cut(snap, up, down, client, p)
	if err != nil {
		t.Fatal(err)
	}
	return conn, m
}

// A takeover that moves all that is buffered moves the socket as it is.
func TestObeyWhole(t *testing.T) {
	for _, s := range movable {
		d, read, written := inState(s)
		conn, m := cut(t, d, read, written, mtcp.Snapshot{LSR: read, LSW: written, Shut: s.OwnFin()}, nil, mtcp.Whole)
		got, err := d.Obey(conn, m)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		same(t, got, d)
	}
}

// §2.5.3: what the client has is dropped from the front of the send buffer.
func TestObeyWhatTheClientHas(t *testing.T) {
	d, read, written := inState(mtcp.Established)
	next := d.Una + 25
	conn, m := cut(t, d, read, written, mtcp.Snapshot{LSR: read, LSW: written}, &next, mtcp.Whole)
	if m, err := m.Fixup(10); err != nil {
		t.Fatal(err)
	} else if got, err := d.Obey(conn, m); err != nil {
		t.Fatal(err)
	} else {
		if got.Una != d.Una+35 || got.Nxt != d.Nxt || got.Write != d.Write || len(got.Out) != 65 {
			t.Errorf("una %d, nxt %d, write %d, %d bytes", got.Una, got.Nxt, got.Write, len(got.Out))
		}
		if err := netrig.Verify(got.Out, downStream, 1035); err != nil {
			t.Error(err)
		}
		got.Resend()
		if err := got.Check(); err != nil || got.sent() != 0 {
			t.Errorf("%d sent, %v", got.sent(), err)
		}
	}
	if d.Una != 0xffffffc0 || len(d.Out) != 100 {
		t.Error("the dump itself was changed")
	}
}

// §2.5.3: the minimal cut sends again only what lies before the last snapshot,
// and has the client send again what it was not told that we have.
func TestObeyMinimal(t *testing.T) {
	d, read, written := inState(mtcp.Established)
	next := d.Una
	conn, m := cut(t, d, read, written, mtcp.Snapshot{LSR: read - 20, LSW: written - 70}, &next, mtcp.Minimal)
	got, err := d.Obey(conn, m)
	if err != nil {
		t.Fatal(err)
	}
	if got.Write != d.Una+30 || got.Nxt != d.Una+30 || len(got.Out) != 30 {
		t.Errorf("nxt %d, write %d, %d bytes out", got.Nxt, got.Write, len(got.Out))
	}
	if got.RcvNxt != d.Ack || got.Ack != d.Ack || len(got.In) != 30 {
		t.Errorf("rcv_nxt %d, ack %d, %d bytes in", got.RcvNxt, got.Ack, len(got.In))
	}
	if right := got.Ack + seqnum.Value(got.Window.Receive); right != d.Ack+seqnum.Value(d.Window.Receive) {
		t.Errorf("the window that was granted ends at %d now", right)
	}
	if err := netrig.Verify(got.In, upStream, 500); err != nil {
		t.Error(err)
	}
}

// A snapshot that reflects bytes nobody acknowledged to the client yet: they are
// acknowledged by the move (implicit_ack).
func TestObeySnapshotAheadOfAcknowledgement(t *testing.T) {
	d, _, written := inState(mtcp.Established)
	d.In, d.Unread = nil, 0 // all 540 are read, 530 acknowledged
	next := d.Una
	conn, m := cut(t, d, 540, written, mtcp.Snapshot{LSR: 535, LSW: written}, &next, mtcp.Minimal)
	got, err := d.Obey(conn, m)
	if err != nil {
		t.Fatal(err)
	}
	if got.RcvNxt != d.RcvNxt-5 || got.Ack != d.Ack || len(got.In) != 0 {
		t.Errorf("rcv_nxt %d, ack %d, %d bytes in", got.RcvNxt, got.Ack, len(got.In))
	}
}

// A move that was not made from this dump is refused.
func TestObeyRefuses(t *testing.T) {
	d, read, written := inState(mtcp.Established)
	conn, m := cut(t, d, read, written, mtcp.Snapshot{LSR: read, LSW: written}, nil, mtcp.Whole)
	for what, spoil := range map[string]func(d *Dump, m *mtcp.Move){
		"before una":        func(d *Dump, m *mtcp.Move) { m.Send.From-- },
		"behind the queue":  func(d *Dump, m *mtcp.Move) { m.Send.To++ },
		"another reader":    func(d *Dump, m *mtcp.Move) { m.Read++ },
		"more than unread":  func(d *Dump, m *mtcp.Move) { m.Log.To++ },
		"of a shorter dump": func(d *Dump, m *mtcp.Move) { d.Out = d.Out[1:] },
	} {
		d, m := *d, m
		spoil(&d, &m)
		if _, err := d.Obey(conn, m); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
