// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab"
)

func TestFateIsDrawnFromTheSeed(t *testing.T) {
	const frames = 20_000
	series := func(seed, direction uint64, w Faults) (lost int, all [][]time.Duration) {
		f := newFate(seed, direction)
		for range frames {
			copies := f.draw(w, 100, 0)
			if len(copies) == 0 {
				lost++
			}
			all = append(all, copies)
		}
		return lost, all
	}
	lost, first := series(7, 0, Faults{Loss: 0.2})
	if share := float64(lost) / frames; share < 0.19 || share > 0.21 {
		t.Errorf("of 20 %%: %v", share)
	}
	same := func(a, b [][]time.Duration) bool {
		return slices.EqualFunc(a, b, func(x, y []time.Duration) bool { return slices.Equal(x, y) })
	}
	if _, again := series(7, 0, Faults{Loss: 0.2}); !same(first, again) {
		t.Error("the same seed has another fate")
	}
	if _, other := series(7, 1, Faults{Loss: 0.2}); same(first, other) {
		t.Error("both directions have one fate")
	}
	// What else befalls the frames does not change which are lost.
	_, busy := series(7, 0, Faults{Loss: 0.2, Duplicate: 0.5, Reorder: 0.1})
	for i := range first {
		if (len(first[i]) == 0) != (len(busy[i]) == 0) {
			t.Fatalf("frame %d is lost in one of two", i)
		}
	}
}

func TestFate(t *testing.T) {
	ms := time.Millisecond
	for name, c := range map[string]struct {
		faults Faults
		want   []time.Duration
	}{
		"none":      {Faults{}, []time.Duration{0}},
		"cut":       {Faults{Cut: true, Duplicate: 1}, nil},
		"lost":      {Faults{Loss: 1}, nil},
		"twice":     {Faults{Duplicate: 1, Delay: 3 * ms}, []time.Duration{3 * ms, 3 * ms}},
		"late":      {Faults{Reorder: 1}, []time.Duration{ms}},
		"very late": {Faults{Reorder: 1, Late: 5 * ms, Delay: ms}, []time.Duration{6 * ms}},
		"slow":      {Faults{Rate: 100_000}, []time.Duration{10 * ms}},
	} {
		if got := newFate(1, 0).draw(c.faults, 1000, time.Second); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for _, bad := range []Faults{{Loss: -0.1}, {Duplicate: 1.1}, {Reorder: 2}, {Delay: -1}, {Rate: -1}} {
		if err := new(Link).Set(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// At a rate, frames queue behind one another, and a full queue drops.
func TestRate(t *testing.T) {
	f, sent := newFate(1, 0), 0
	last := time.Duration(0)
	for range 100 {
		got := f.draw(Faults{Rate: 100_000}, 1000, 0)
		if len(got) == 0 {
			continue
		}
		sent++
		if got[0] != last+10*time.Millisecond {
			t.Fatalf("frame %d after %v, the one before after %v", sent, got[0], last)
		}
		last = got[0]
	}
	if most := int(mostQueued/(10*time.Millisecond)) + 1; sent != most {
		t.Errorf("%d frames of 100 were queued, room is for %d", sent, most)
	}
	if got := f.draw(Faults{Rate: 100_000}, 1000, time.Hour); !slices.Equal(got, []time.Duration{10 * time.Millisecond}) {
		t.Errorf("an hour later: %v", got)
	}
}

// station is a machine on a bridge: what the test sends and hears there.
type station struct {
	*os.File
	net string
}

func plug(t *testing.T, net, bridge, tap string) *station {
	t.Helper()
	err := lab.Plug(net, bridge, tap)
	s := &station{net: net}
	if err == nil {
		err = lab.InNetns(net, func() (err error) { s.File, err = attach(tap); return err })
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// etherType of the test's frames: for local experiments.
const etherType = 0x88b5

func (s *station) say(t *testing.T, number uint32) {
	t.Helper()
	f := bytes.Repeat([]byte{0xff}, 60)
	copy(f[6:], []byte{2, 0, 0, 0, 0, 1})
	binary.BigEndian.PutUint16(f[12:], etherType)
	binary.BigEndian.PutUint32(f[14:], number)
	if _, err := s.Write(f); err != nil && !errors.Is(err, unix.EIO) { // EIO: not up yet
		t.Fatal(err)
	}
}

// hear returns the number of the next frame of a test's, 0 if none comes.
func (s *station) hear(t *testing.T, within time.Duration) uint32 {
	t.Helper()
	buf := make([]byte, 2048)
	for end := time.Now().Add(within); ; {
		if err := s.SetReadDeadline(end); err != nil {
			t.Fatal(err)
		}
		n, err := s.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0
		}
		if err != nil {
			t.Fatal(err)
		}
		if n >= 18 && binary.BigEndian.Uint16(buf[12:]) == etherType {
			return binary.BigEndian.Uint32(buf[14:])
		}
	}
}

// TestLink: frames pass between bridges, and are lost, repeated and late as asked.
func TestLink(t *testing.T) {
	net := lab.Net(t)
	l, err := Open(Options{Net: net, Near: "br1", Far: "br0", Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	near, far := plug(t, net, "br1", "near"), plug(t, net, "br0", "far")
	for end := time.Now().Add(30 * time.Second); near.hear(t, 50*time.Millisecond) == 0; far.say(t, 1) {
		if time.Now().After(end) {
			t.Fatal("no frame arrives")
		}
	}
	for near.hear(t, 200*time.Millisecond) != 0 { // the others that were tried
	}
	set := func(f Faults) {
		t.Helper()
		if err := l.Set(f); err != nil {
			t.Fatal(err)
		}
	}
	const patience = 30 * time.Second
	expect := func(what string, want ...uint32) {
		t.Helper()
		for _, n := range want {
			if got := far.hear(t, patience); got != n {
				t.Errorf("%s: frame %d, want %d", what, got, n)
			}
		}
	}
	near.say(t, 2)
	expect("without faults", 2)

	for i, f := range []Faults{{Cut: true}, {Loss: 1}} {
		set(f)
		near.say(t, 3)
		if got := far.hear(t, 300*time.Millisecond); got != 0 {
			t.Errorf("%+v: frame %d passes", f, got)
		}
		set(Faults{})
		again := uint32(10 + i)
		near.say(t, again)
		for got := uint32(0); got != again; { // a slow machine may bring the other only now
			if got = far.hear(t, patience); got == 0 {
				t.Fatalf("after %+v nothing passes", f)
			}
		}
	}
	if l.Stats().Lost == 0 {
		t.Errorf("%+v", l.Stats())
	}
	set(Faults{Duplicate: 1})
	near.say(t, 5)
	expect("twice", 5, 5)
	if l.Stats().Copies == 0 {
		t.Errorf("%+v", l.Stats())
	}
	set(Faults{Delay: 200 * time.Millisecond})
	began := time.Now()
	near.say(t, 6)
	expect("late", 6)
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("after %v", took)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	near.say(t, 7)
	if got := far.hear(t, 100*time.Millisecond); got != 0 {
		t.Errorf("frame %d passes a link that was closed", got)
	}
}

func TestOpenWhereThereIsNoNetwork(t *testing.T) {
	if l, err := Open(Options{Net: "no-such-net", Near: "br1", Far: "br0"}); err == nil {
		t.Error("a link in no namespace", l.Close())
	}
}
