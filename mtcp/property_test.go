// SPDX-License-Identifier: Apache-2.0

package mtcp

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lazystate/internal/seqnum"
)

// numberOf draws an initial number, often just before the wrap.
func numberOf(rng *rand.Rand) seqnum.Value {
	if rng.IntN(2) == 0 {
		return -seqnum.Value(rng.Uint32N(64))
	}
	return seqnum.Value(rng.Uint32())
}

func drawWorld(t *rapid.T) *world {
	s := Service{Root}
	for i := range rapid.IntRange(0, 4).Draw(t, "further processes") {
		s = append(s, rapid.IntRange(0, i).Draw(t, "parent"))
	}
	if _, err := s.Order(); err != nil {
		t.Fatal(err)
	}
	requests := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "requests")
	return newWorld(s, requests, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)))
}

func (w *world) some(n int) {
	for range n {
		if i := w.rng.IntN(len(w.procs) + 2); i < len(w.procs) {
			w.run(i)
		} else {
			w.step(w.rng)
		}
	}
}

func (w *world) network(n int) {
	for range n {
		w.step(w.rng)
	}
}

// fault does one thing that no process and no client may notice.
func fault(t *rapid.T, w *world) {
	i := rapid.IntRange(0, len(w.procs)-1).Draw(t, "process")
	p := rapid.SampledFrom([]Policy{Whole, Minimal}).Draw(t, "policy")
	n := rapid.IntRange(0, 12).Draw(t, "steps between")
	switch rapid.SampledFrom([]string{"export", "restart", "migrate", "take over", "nothing"}).Draw(t, "fault") {
	case "export":
		w.export(i)
	case "restart":
		w.restart(i)
	case "migrate": // asked for by the client, which goes on receiving
		m := w.begin()
		w.some(n)
		w.move(m, p, func() { w.network(n) })
	case "take over": // without a word to the client
		w.move(&moving{}, p, func() { w.network(n) })
	}
}

// finish runs to the end without faults.
func (w *world) finish() {
	for range 50000 {
		if w.client.fin && w.k.state != FinWait1 && w.k.state != LastAck && w.k.state != Closing || len(w.broken) > 0 {
			return
		}
		w.some(1)
	}
	w.fail("it does not end: %+v\n%+v\n%+v\n%+v", w.procs, *w.k, w.client, w.net)
}

// Whatever processes die, whenever the session moves, with or without the
// client's help, however full the buffers are: the client gets the answers of
// a service that never failed, and no process reads anything twice or never.
func TestExactlyOnce(t *testing.T) {
	for range 10 { // some rules matter once in a thousand runs
		rapid.Check(t, exactlyOnce)
	}
}

func exactlyOnce(t *rapid.T) {
	w := drawWorld(t)
	for range rapid.IntRange(0, 25).Draw(t, "faults") {
		w.some(rapid.IntRange(0, 120).Draw(t, "steps"))
		fault(t, w)
		if len(w.broken) > 0 {
			break
		}
	}
	w.finish()
	if len(w.broken) > 0 {
		t.Fatal(strings.Join(w.broken, "\n"))
	}
	answers, option := play(w.s, w.client.requests, func(proc, n int) uint64 { return w.draws[[2]int{proc, n}] })
	if !bytes.Equal(answers, w.client.got) {
		t.Fatalf("the client got %d bytes\n%x\nand should have got %d\n%x", len(w.client.got), w.client.got, len(answers), answers)
	}
	if option != w.option {
		t.Fatalf("the option is %d and should be %d", w.option, option)
	}
}

// The rule about nondeterministic intervals is needed: without it some move
// shows the client two choices.
func TestWithoutHoldingOutput(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 2))
		requests := make([]byte, 40)
		for i := range requests {
			requests[i] = byte(rng.Uint32())
		}
		w := newWorld(Service{Root, 0}, requests, rng)
		w.leak = true
		for range 20 {
			w.some(rng.IntN(80))
			w.restart(rng.IntN(2))
		}
		if len(w.broken) > 0 {
			return
		}
	}
	t.Error("400 services leaked the output of nondeterministic intervals, and nobody noticed")
}
