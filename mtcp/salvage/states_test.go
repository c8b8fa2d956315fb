// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"lazystate/backdoor"
)

// How large boxes are a stranger's memory says: of one, and of all of them, no more is read
// than was allowed, and one that is too large keeps no other from being read.
func TestPurse(t *testing.T) {
	p := purse{one: 2 * 4096, left: 3 * 4096}
	var damaged *backdoor.CorruptError
	for i, c := range []struct {
		pages int
		ok    func(error) bool
	}{
		{3, func(err error) bool { return errors.As(err, &damaged) }},
		{2, func(err error) bool { return err == nil }},
		{2, func(err error) bool { return errors.Is(err, ErrTooLarge) }},
		{1, func(err error) bool { return err == nil }},
		{1, func(err error) bool { return errors.Is(err, ErrTooLarge) }},
	} {
		if err := p.spend(&backdoor.Box{Pages: make([]uint64, c.pages)}); !c.ok(err) {
			t.Errorf("%d: %d pages: %v", i, c.pages, err)
		}
	}
}

// What all servers of a dead machine exported last is read in as many batches as that
// of one; a box that is damaged is named, and no other suffers.
func TestStates(t *testing.T) {
	var batches []uint64
	for _, n := range []int{1, 20} {
		w := newWorld(t, "ipv4", adding)
		var clients []*adder
		for i := range n {
			a := w.dial()
			a.ask(10 + i)
			a.hear(10 + i)
			clients = append(clients, a)
		}
		w.die(nil)
		target, err := backdoor.Open(t.Context(), w.machine.Memory())
		w.must(err)
		boxes, err := target.Boxes(t.Context())
		w.must(err)
		if n > 1 {
			w.machine.Poke64(boxes[0].Pages[0], 1)
		}
		before := target.Stats().Batches
		all, err := States(t.Context(), target, 0)
		w.must(err)
		batches = append(batches, target.Stats().Batches-before)
		if len(all) != n {
			t.Fatalf("%d states of %d", len(all), n)
		}
		for i, s := range all {
			if n > 1 && i == 0 {
				if s.Err == nil {
					t.Error("a damaged box is not named")
				}
				continue
			}
			a := clientOf(t, clients, s.Remote.String())
			if s.Err != nil || s.Name != adding.name || len(s.Data) != 8 {
				t.Errorf("%+v", s)
				continue
			}
			if got := binary.LittleEndian.Uint64(s.Data); got != a.summed && got != a.summed-a.answered { // the last answer is heard before it is exported
				t.Errorf("the sum %d, want %d", got, a.summed)
			}
		}
	}
	if batches[1] > batches[0] {
		t.Errorf("%d batches for one box, %d for 20", batches[0], batches[1])
	}
}

func clientOf(t *testing.T, all []*adder, remote string) *adder {
	t.Helper()
	for _, a := range all {
		if a.LocalAddr().String() == remote {
			return a
		}
	}
	t.Fatalf("a session of %s", remote)
	return nil
}

// What was done since the last export is told: half a number was read, or nothing.
func TestStatesSayWhatCameSince(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	waits, rests := w.dial(), w.dial()
	for _, a := range []*adder{waits, rests} {
		a.ask(3)
		a.rest()
	}
	_, err := waits.Write(make([]byte, 4)) // half a number
	w.must(err)
	w.until(w.s1, waits, func(read, _ uint64) bool { return read == 8*3+4 })
	w.exported(rests, 8*3)
	w.die(nil)
	target, err := backdoor.Open(t.Context(), w.machine.Memory())
	w.must(err)
	all, err := States(t.Context(), target, 0)
	w.must(err)
	for i := range all {
		if a := clientOf(t, []*adder{waits, rests}, all[i].Remote.String()); all[i].Err != nil || all[i].Read != (a == waits) || all[i].Written {
			t.Errorf("%+v", all[i])
		}
	}
}

// exported waits until the server has exported what it has done for so much of a client's.
func (w *world) exported(a *adder, read uint64) {
	w.t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		for _, s := range w.s1.keep.Sessions() {
			if s.Remote.String() != a.LocalAddr().String() {
				continue
			}
			held, err := w.s1.keep.Hold(s.ID, hang)
			w.must(err)
			snap, err := held.Box.Snapshot(0)
			held.Thaw()
			w.must(err)
			if snap != nil && snap.LSR == read {
				return
			}
		}
		if time.Now().After(end) {
			w.t.Fatal("the server does not export")
		}
	}
}
