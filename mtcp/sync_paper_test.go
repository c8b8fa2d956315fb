// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"errors"
	"testing"
)

func sync(t *testing.T, c Channel, p Policy) Resumed {
	t.Helper()
	r, err := c.Sync(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// §2.4.4, Figure 2.5: the reader's snapshot lies behind the writer's, so the
// new reader asks for bytes that the new writer cannot supply. Exactly
// [lsr, lsw) is logged and moved; before lsr nobody needs it, behind lsw the
// writer makes it again.
func TestPaperReaderBehindWriter(t *testing.T) {
	r := sync(t, Channel{LSR: 30, LSW: 70, Head: 90}, Minimal)
	if r.Log != (Span{30, 70}) || r.Discard != 0 || r.Reader != 30 || r.Writer != 70 || r.Head != 70 {
		t.Errorf("%+v", r)
	}
}

// §2.4.4, Figure 2.6: the reader's snapshot lies ahead of the writer's, so all
// that it will read is made again and nothing moves. The writes of the replay
// in [lsw, lsr) are discarded.
func TestPaperReaderAheadOfWriter(t *testing.T) {
	r := sync(t, Channel{LSR: 70, LSW: 30, Head: 90}, Minimal)
	if !r.Log.Empty() || r.Discard != 40 || r.Head != 70 {
		t.Errorf("%+v", r)
	}
	w, err := NewWriter(r.Writer, r.Head, false)
	if err != nil {
		t.Fatal(err)
	}
	if n := w.Swallow(100); n != 40 {
		t.Errorf("of the first 100 bytes written again %d are swallowed, not 40", n)
	}
	w.Write(25)
	if n := w.Swallow(100); n != 15 {
		t.Errorf("after 25 of them, %d", n)
	}
	w.Write(100)
	if w.Swallow(1) != 0 || w.Head != 155 {
		t.Errorf("behind lsr nothing is swallowed: %+v", w)
	}
}

// §2.4.4: when a reader takes its snapshot the system throws away the log
// before it, and only that.
func TestPaperSnapshotTrimsTheLog(t *testing.T) {
	r, err := NewReader(0, 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	r.Fetch(10)
	r.Read(6)
	if gone := r.Export(); gone != (Span{0, 6}) || r.LSR != 6 || r.Logged(100) != (Span{6, 10}) {
		t.Errorf("%v fell out of %+v", gone, r)
	}
}

// §2.4.4, the three guarantees: restart from the snapshot, have once more what
// was read after it and cannot be made again, and have delivered what was
// written before it.
func TestPaperThreeGuarantees(t *testing.T) {
	r := sync(t, Channel{LSR: 5, LSW: 12, Head: 12}, Minimal)
	reader, err := NewReader(r.Reader, r.Log.To, 64)
	if err != nil {
		t.Fatal(err)
	}
	if reader.Pos != 5 || reader.Logged(100) != (Span{5, 12}) {
		t.Errorf("the reader is given %v", reader.Logged(100))
	}
	if r.Head != 12 {
		t.Errorf("bytes written before the snapshot are delivered up to %d", r.Head)
	}
}

// §2.4.4, §2.6.1: output of a nondeterministic interval goes nowhere until the
// interval can no longer be replayed, which is when the next snapshot is
// recorded (the output commit problem).
func TestPaperOutputCommit(t *testing.T) {
	w, _ := NewWriter(0, 0, false)
	w.Write(10)
	if _, err := w.Export(true); err != nil {
		t.Fatal(err)
	}
	w.Write(20)
	if w.Head != 10 || w.Held() != (Span{10, 30}) {
		t.Errorf("in the interval: passed on up to %d, held %v", w.Head, w.Held())
	}
	released, err := w.Export(false)
	if err != nil || released != (Span{10, 30}) {
		t.Errorf("the next export releases %v, %v", released, err)
	}
	w.Passed(released.To)
	w.Write(5)
	if w.Head != 35 || w.Holds() {
		t.Errorf("afterwards output passes: %+v", w)
	}
}

// The same, moved between the snapshot and the passing on: what the export
// released is part of the state, though the reader has not seen it.
func TestPaperReleasedOutputMoves(t *testing.T) {
	r := sync(t, Channel{LSR: 8, LSW: 30, Head: 10}, Minimal)
	if r.Log != (Span{8, 30}) || r.Head != 30 || r.Discard != 0 {
		t.Errorf("%+v", r)
	}
}

// §2.4.4: if W resumes from a snapshot that begins a nondeterministic interval
// and R's state already advanced on old writes, the two are inconsistent. A
// server that lets that happen is told so.
func TestPaperInconsistentSnapshots(t *testing.T) {
	var diverged *DivergedError
	if _, err := NewWriter(10, 30, true); !errors.As(err, &diverged) || diverged.Where != 10 {
		t.Errorf("resumed: %v", err)
	}
	w, _ := NewWriter(10, 30, false)
	w.Write(5)
	if _, err := w.Export(true); !errors.As(err, &diverged) || diverged.Where != 15 {
		t.Errorf("during the replay: %v", err)
	}
}

// §2.6.4: the log is bounded, so a reader of much must take snapshots often.
// A full log is no loss: the bytes stay in the channel.
func TestPaperLogIsBounded(t *testing.T) {
	r, _ := NewReader(0, 0, 16)
	r.Fetch(16)
	if r.Full() || r.Crowded() {
		t.Error("full before the application has read what is there")
	}
	r.Read(1)
	if r.Full() || !r.Crowded() {
		t.Error("a snapshot would make room, and it is not asked for")
	}
	r.Read(15)
	if !r.Full() || !r.Crowded() || r.Room() != 0 {
		t.Errorf("not full: %+v", r)
	}
	r.Export()
	if r.Full() || r.Room() != 16 {
		t.Errorf("a snapshot makes no room: %+v", r)
	}
}

// §2.4.2, footnote: a service set may be a tree; then a traversal of it gives
// the order that the system enforces.
func TestPaperServiceSetIsATree(t *testing.T) {
	for _, c := range []struct {
		s    Service
		want string
	}{
		{Service{Root}, "[0]"},
		{Service{Root, 0, 1}, "[0 1 2]"},                // Figure 2.2
		{Service{Root, 0, 0, 1, 2, 1}, "[0 1 3 5 2 4]"}, // children in the order they joined
		{Service{Root, 2, 0}, "[0 2 1]"},
		{Service{}, "[]"},
	} {
		order, err := c.s.Order()
		if got := sprint(order); err != nil || got != c.want {
			t.Errorf("%v: %s, %v", c.s, got, err)
		}
	}
	for _, s := range []Service{{0}, {Root, Root}, {Root, 2, 1}, {Root, 5}, {Root, 1}, {1, Root}} {
		if order, err := s.Order(); err == nil {
			t.Errorf("%v is no tree and has the order %v", s, order)
		}
	}
}
