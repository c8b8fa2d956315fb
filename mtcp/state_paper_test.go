// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"errors"
	"testing"

	"lazystate/internal/seqnum"
)

// §2.5.2: a connection can be moved in any synchronised state except TIME_WAIT.
// §2.5.3: the new endpoint performs the same transitions and ends up in the
// same state.
func TestPaperEveryState(t *testing.T) {
	for s := Established; s <= NewSynRecv; s++ {
		path, err := s.Path()
		var refused *StateError
		if s.Movable() != (err == nil) || err != nil && !errors.As(err, &refused) {
			t.Errorf("%v: movable %v, %v", s, s.Movable(), err)
			continue
		}
		at := Established
		for _, e := range path {
			if at, err = at.After(e); err != nil {
				t.Errorf("%v: %v", s, err)
			}
		}
		if s.Movable() && at != s {
			t.Errorf("the path to %v leads to %v", s, at)
		}
	}
	if TimeWait.Movable() {
		t.Error("TIME_WAIT is moved")
	}
}

// RFC 9293, Figure 5: what is no transition there is none here.
func TestTransitions(t *testing.T) {
	allowed := 0
	for s := Established; s <= NewSynRecv; s++ {
		for _, e := range []Event{Shut, FinAcked, FinArrived} {
			next, err := s.After(e)
			if err != nil {
				continue
			}
			allowed++
			if e == Shut && (s.OwnFin() || !next.OwnFin()) || e == FinArrived && (s.PeerFin() || !next.PeerFin()) {
				t.Errorf("%v: %v leads to %v", s, e, next)
			}
		}
	}
	if allowed != 8 {
		t.Errorf("%d transitions, RFC 9293 has 8 after ESTABLISHED", allowed)
	}
}

// endpoint is a server that has written 100 bytes, of which the client has 60,
// and received 50, of which the application read 20; around the wrap.
func endpoint(s State) Endpoint {
	iss, irs := seqnum.Value(0xffffffd0), seqnum.Value(0xfffffff0)
	e := Endpoint{State: s, Una: iss.Add(61), Nxt: iss.Add(91), Write: iss.Add(101), RcvNxt: irs.Add(51), Ack: irs.Add(46), Unread: 30}
	if s.OwnFin() {
		e.Write++
		e.Nxt = e.Write
	}
	if s.OwnFinAcked() {
		e.Una = e.Write
	}
	if s.PeerFin() {
		e.RcvNxt++
		e.Ack = e.RcvNxt
	}
	return e
}

// §2.5.3: "FIN and SYN consume one byte in the sequence number space without a
// corresponding data byte": offsets are the same in every state.
func TestPaperFinTakesANumber(t *testing.T) {
	for s := Established; s <= NewSynRecv; s++ {
		if !s.Movable() {
			if _, _, _, err := Place(endpoint(s), 20, 100); err == nil {
				t.Errorf("%v is placed", s)
			}
			continue
		}
		conn, up, down, err := Place(endpoint(s), 20, 100)
		if err != nil {
			t.Errorf("%v: %v", s, err)
			continue
		}
		if conn.Down.First != 0xffffffd1 || conn.Up.First != 0xfffffff1 {
			t.Errorf("%v: %+v", s, conn)
		}
		wantUna, wantNxt, wantFin := uint64(60), uint64(90), FinNone
		if s.OwnFin() {
			wantNxt, wantFin = 100, FinSent
		}
		if s.OwnFinAcked() {
			wantUna, wantFin = 100, FinSeen
		}
		if down.Una != wantUna || down.Nxt != wantNxt || down.Written != 100 || down.Fin != wantFin {
			t.Errorf("%v: %+v", s, down)
		}
		wantAck := uint64(45)
		if s.PeerFin() {
			wantAck = 50
		}
		if up.Read != 20 || up.Next != 50 || up.Ack != wantAck || up.Fin != s.PeerFin() || up.FinAcked != s.PeerFin() {
			t.Errorf("%v: %+v", s, up)
		}
	}
}

// A whole move restores the state in which S1 was; a minimal one leaves to the
// replay the closing that it repeats, unless the client has heard of it.
func TestPaperStateAtTheNewServer(t *testing.T) {
	for s := Established; s <= NewSynRecv; s++ {
		if !s.Movable() {
			continue
		}
		conn, up, down, err := Place(endpoint(s), 20, 100)
		if err != nil {
			t.Fatal(err)
		}
		snap := Snapshot{LSR: 10, LSW: 50}
		next := conn.Down.Seq(70)
		if s.OwnFinAcked() {
			next = conn.Down.Seq(101)
		}
		c, err := conn.Client(next, down)
		if err != nil {
			t.Fatal(err)
		}
		if m := cut(t, snap, up, down, c, Whole); m.State() != s || m.Repeat {
			t.Errorf("whole, from %v: %v, repeat %v", s, m.State(), m.Repeat)
		}
		m := cut(t, snap, up, down, c, Minimal)
		want := map[State]State{FinWait1: Established, LastAck: CloseWait, Closing: CloseWait}[s]
		if want == 0 {
			want = s
		}
		if m.State() != want || m.Repeat != !m.OwnFin {
			t.Errorf("minimal, from %v: %v, repeat %v", s, m.State(), m.Repeat)
		}
		if snap.Shut = s.OwnFin(); snap.Shut {
			snap.LSW = 100 // the snapshot was taken after the shutdown: no replay repeats it
			if m := cut(t, snap, up, down, c, Minimal); m.State() != s || m.Repeat || m.Head != 100 {
				t.Errorf("minimal, closed before the snapshot, from %v: %v, %+v", s, m.State(), m)
			}
		}
	}
}

// The client may receive the FIN while MIGRATING: the fixup counts it.
func TestPaperFinWhileMigrating(t *testing.T) {
	conn, up, down, err := Place(endpoint(FinWait1), 20, 100)
	if err != nil {
		t.Fatal(err)
	}
	c, err := conn.Client(conn.Down.Seq(70), down)
	if err != nil {
		t.Fatal(err)
	}
	m := cut(t, Snapshot{LSW: 50}, up, down, c, Minimal)
	if m.OwnFin || !m.Repeat || m.Head != 70 {
		t.Fatalf("%+v", m)
	}
	f, err := m.Fixup(31)
	if err != nil || f.State() != FinWait2 || f.Repeat || f.Head != 100 || f.Discard != 50 {
		t.Errorf("%v, %+v, %v", f.State(), f, err)
	}
	if _, err := m.Fixup(32); err == nil {
		t.Error("the client has more than the FIN")
	}
	if _, err := cut(t, Snapshot{LSW: 50}, up, Down{Una: 60, Nxt: 100, Written: 100, Fin: FinQueued, State: FinWait1}, c, Minimal).Fixup(31); err == nil {
		t.Error("the client has a FIN that was not sent")
	}
}

// Numbers that no endpoint has are refused, not computed with.
func TestPlaceRefuses(t *testing.T) {
	for what, change := range map[string]func(*Endpoint){
		"una beyond nxt":         func(e *Endpoint) { e.Una = e.Nxt.Add(1) },
		"nxt beyond write":       func(e *Endpoint) { e.Nxt = e.Write.Add(1) },
		"ack beyond rcv_nxt":     func(e *Endpoint) { e.Ack = e.RcvNxt.Add(1) },
		"more unacked than ever": func(e *Endpoint) { e.Una -= 70 },
		"ack before the start":   func(e *Endpoint) { e.Ack -= 100 },
	} {
		e := endpoint(Established)
		change(&e)
		if _, _, _, err := Place(e, 20, 100); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	e := endpoint(FinWait2)
	e.Una--
	if _, _, _, err := Place(e, 20, 100); err == nil {
		t.Error("FIN_WAIT2 with a FIN that is not acknowledged")
	}
}

func TestCutRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		s    Snapshot
		up   Up
		down Down
	}{
		"a snapshot that read more":      {Snapshot{LSR: 21}, Up{Read: 20}, Down{}},
		"writing behind a shutdown":      {Snapshot{Shut: true, LSW: 90}, Up{}, Down{Written: 100}},
		"output held behind our own FIN": {Snapshot{LSW: 101}, Up{}, Down{Una: 100, Nxt: 100, Written: 100, Fin: FinSeen}},
	} {
		var bad *InconsistentError
		if _, err := Cut(c.s, c.up, c.down, Client{}, Whole); !errors.As(err, &bad) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Totals of the kernel, as a socket of 6.18 showed them in each state.
func TestCounters(t *testing.T) {
	for _, c := range []struct {
		c             Counters
		read, written uint64
	}{
		{Counters{State: Established, Received: 100, Unread: 70}, 30, 0},
		{Counters{State: Established, Received: 100, Unread: 70, Acked: 300, Unacked: 200}, 30, 500},
		{Counters{State: FinWait1, Received: 100, Unread: 70, Acked: 300, Unacked: 201}, 30, 500},
		{Counters{State: FinWait2, Received: 100, Unread: 70, Acked: 501}, 30, 500},
		{Counters{State: CloseWait, Received: 11, Unread: 10}, 0, 0},
		{Counters{State: CloseWait, Received: 11}, 10, 0},
		{Counters{State: LastAck, Received: 11, Unread: 6, Unacked: 1}, 4, 0},
		{Counters{State: Closing, Received: 11, Unread: 6, Acked: 7, Unacked: 3}, 4, 9},
		{Counters{State: Close, Whole: true, Received: 11, Unread: 6, Acked: 10}, 4, 9}, // from FIN_WAIT2, CLOSING or LAST_ACK
		{Counters{State: Close, Whole: true, Received: 11, Acked: 10}, 10, 9},
		{Counters{State: Close, Whole: true, Received: 1, Acked: 1}, 0, 0},
	} {
		read, written, err := c.c.Offsets()
		if err != nil || read != c.read || written != c.written {
			t.Errorf("%+v: read %d, written %d, %v", c.c, read, written, err)
		}
	}
	for _, c := range []Counters{{State: TimeWait}, {State: Established, Received: 5, Unread: 6}, {State: CloseWait}, {State: FinWait1},
		{State: Close, Whole: true, Received: 11}} { // it was reset in CLOSE_WAIT before it wrote anything
		if r, w, err := c.Offsets(); err == nil {
			t.Errorf("%+v gives %d, %d", c, r, w)
		}
	}
	for _, c := range []Counters{
		{State: Close, Received: 10, Unread: 6, Acked: 10},                         // its error waits, or was told and no FIN had come
		{State: Close, Whole: true, Received: 11, Unread: 6, Acked: 9, Unacked: 1}, // in LAST_ACK or CLOSING: our own FIN was not acknowledged
	} {
		var not *StateError
		if r, w, err := c.Offsets(); !errors.As(err, &not) || not.State != Close {
			t.Errorf("%+v gives %d, %d, %v", c, r, w, err)
		}
	}
}

// §2.5.3: user-level actions are repeated by the replay, and their effects are
// there already.
func TestPaperActionsAreSwallowed(t *testing.T) {
	nodelay := Action{Kind: SetOption, Option: Option{6, 1, "\x01\x00\x00\x00"}, Pos: 3}
	shut := Action{Kind: ShutWrite, Pos: 9}
	a := NewActions(4, []Action{nodelay, shut}, 3)
	for _, x := range []Action{nodelay, shut} {
		if again, err := a.Repeats(x); err != nil || !again {
			t.Errorf("%v: swallowed %v, %v", x, again, err)
		}
		a.Done(x)
	}
	fresh := Action{Kind: CloseBoth, Pos: 9}
	if again, err := a.Repeats(fresh); err != nil || again {
		t.Errorf("%v: swallowed %v, %v", fresh, again, err)
	}
	a.Done(fresh)
	if !a.Full() || a.Next != 7 {
		t.Errorf("%+v", a)
	}
	a.Export()
	if a.First != 7 || len(a.Log) != 0 || a.Full() {
		t.Errorf("after the snapshot: %+v", a)
	}
}

// A snapshot in mid-replay keeps what the replay has not repeated yet.
func TestActionsExportInReplay(t *testing.T) {
	one, two := Action{Kind: ShutRead}, Action{Kind: ShutWrite}
	a := NewActions(0, []Action{one, two}, 8)
	a.Done(one)
	a.Export()
	if again, err := a.Repeats(two); err != nil || !again || a.First != 1 || len(a.Log) != 1 {
		t.Errorf("%v, %v, %+v", again, err, a)
	}
	var diverged *DivergedError
	if _, err := a.Repeats(one); !errors.As(err, &diverged) || diverged.Where != 1 {
		t.Errorf("another action: %v", err)
	}
}

// §2.5.3: "user-set options [...] are restored".
func TestPaperOptionsInForce(t *testing.T) {
	set := func(name int32, v string) Action { return Action{Kind: SetOption, Option: Option{6, name, v}} }
	got := InForce([]Option{{6, 1, "a"}, {1, 13, "b"}}, []Action{set(1, "c"), {Kind: ShutRead}, set(9, "d"), set(9, "e")})
	if sprint(got) != "[{6 1 c} {1 13 b} {6 9 e}]" {
		t.Errorf("%v", got)
	}
	if EndsWriting([]Action{set(1, "a"), {Kind: ShutRead}}) || !EndsWriting([]Action{{Kind: ShutWrite}}) || !EndsWriting([]Action{{Kind: CloseBoth}}) {
		t.Error("what ends writing is not told apart")
	}
}
