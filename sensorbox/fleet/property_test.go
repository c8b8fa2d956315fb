// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const lease = time.Second

// drawWorld is a fleet with clocks that drift, a network that delays, loses
// and doubles, and places of both kinds.
func drawWorld(t *rapid.T) *world {
	cfg := Config{Lease: lease, Settle: 2 * lease, Failback: rapid.Bool().Draw(t, "failback"), Told: rapid.Bool().Draw(t, "told")}
	for i := range rapid.IntRange(1, 4).Draw(t, "monitors") {
		cfg.Monitors = append(cfg.Monitors, string(rune('a'+i)))
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "targets") {
		target := Target{Name: fmt.Sprintf("t%d", i)}
		if rapid.Bool().Draw(t, "its own order") {
			target.Order = rapid.Permutation(cfg.Monitors).Draw(t, "order")
		}
		cfg.Targets = append(cfg.Targets, target)
	}
	w := newWorld(cfg, rapid.Bool().Draw(t, "leased"))
	w.rng = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	w.delay = time.Duration(rapid.SampledFrom([]int{1, 30, 300, 3000}).Draw(t, "delay")) * time.Millisecond
	if !cfg.Told { // a watch of etcd's loses nothing
		w.loss = float64(rapid.IntRange(0, 30).Draw(t, "loss")) / 100
	}
	for _, p := range w.places {
		p.rate = 0.96 + 0.08*w.rng.Float64()
	}
	for _, n := range w.nodes {
		n.rate = 0.96 + 0.08*w.rng.Float64()
		n.offset = time.Duration(w.rng.Int64N(int64(time.Hour)))
		n.start()
	}
	return w
}

// fault does one harm, or takes one back.
func fault(t *rapid.T, w *world) {
	n := rapid.SampledFrom(w.nodes).Draw(t, "monitor")
	other := rapid.SampledFrom(w.nodes).Draw(t, "other")
	target := rapid.SampledFrom(n.cfg.Targets).Draw(t, "target").Name
	both := [][2]string{{n.name, other.name}, {other.name, n.name}}
	switch rapid.SampledFrom([]string{"kill", "start", "pause", "resume", "path", "part", "join", "leave", "verdict", "nothing"}).Draw(t, "fault") {
	case "kill":
		n.kill()
	case "start":
		if !n.up {
			n.start()
		}
	case "pause":
		n.paused = n.up
	case "resume":
		if n.paused {
			n.resume()
		}
	case "path":
		n.setPath(target, rapid.SampledFrom([]Path{PathUnknown, PathFailed, PathSilent, PathGood}).Draw(t, "path"))
	case "part":
		if w.told {
			return
		}
		w.parted[both[0]] = true
		w.parted[both[rapid.IntRange(0, 1).Draw(t, "both ways")]] = true
	case "join":
		delete(w.parted, both[0])
		delete(w.parted, both[1])
	case "leave":
		if n.up && !n.paused {
			n.step(Leave{})
		}
	case "verdict": // also a wrong one
		if other.up && !other.paused {
			other.step(Gone{n.name, "its Sensor Box says so"})
		}
	}
}

// heal makes everything well again.
func (w *world) heal() {
	clear(w.parted)
	w.loss, w.delay = 0, 10*time.Millisecond
	for _, n := range w.nodes {
		if n.paused {
			n.resume()
		}
		if !n.up || n.m.leaving {
			n.kill()
			n.start()
		}
		for _, t := range n.cfg.Targets {
			n.setPath(t.Name, PathGood)
		}
	}
}

// owners says who acts on each target.
func (w *world) owners() string {
	var all []string
	for _, t := range w.nodes[0].cfg.Targets {
		for _, n := range w.nodes {
			if n.acts(t.Name) {
				all = append(all, t.Name+":"+n.name)
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// Whatever happens, never two owners act on a target, no epoch is held twice,
// no write of a former owner is accepted; and when nothing happens any more,
// every target has one owner and keeps it.
func TestOneOwnerWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(0, 25).Draw(t, "faults") {
			fault(t, w)
			w.run(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
		}
		w.heal()
		w.run(8 * lease)
		settled := w.owners()
		if got := strings.Count(settled, ":"); got != len(w.places) {
			w.breaks("8 leases after all was well the owners are %q", settled)
		}
		w.run(5 * lease)
		if now := w.owners(); now != settled {
			w.breaks("owners changed without a reason: %q, then %q", settled, now)
		}
		if len(w.broken) > 0 {
			t.Fatalf("%s\n%s", strings.Join(w.broken, "\n"), strings.Join(w.said, "\n"))
		}
	})
}

// A clock that stands still (a virtual machine that is paused and goes on)
// makes a belief outlive its lease. The place's epoch does not mind.
func TestFrozenClockIsFenced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.frozen = true
		for range 10 {
			n := rapid.SampledFrom(w.nodes).Draw(t, "monitor")
			w.run(lease)
			was := n.clock()
			n.paused = n.up
			w.run(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			n.offset -= n.clock() - was
			n.resume()
		}
		if len(w.broken) > 0 {
			t.Fatalf("%s\n%s", strings.Join(w.broken, "\n"), strings.Join(w.said, "\n"))
		}
	})
}

// The fence is not idle in the test above: without the clock's word, writes
// of former owners do arrive.
func TestStaleWritesDoArrive(t *testing.T) {
	w := newWorld(Config{Lease: lease, Monitors: []string{"a", "b"}, Targets: []Target{{Name: "t"}}}, true)
	for _, n := range w.nodes {
		n.start()
	}
	w.run(2 * lease)
	a, p := w.node("a"), w.places["t"]
	was := a.clock()
	a.paused, w.frozen = true, true
	w.run(3 * lease)
	a.offset -= a.clock() - was
	a.resume()
	w.run(lease)
	if p.refused == 0 || p.writer != "b" || len(w.broken) > 0 {
		t.Errorf("%d refused, last writer %s, %v", p.refused, p.writer, w.broken)
	}
}

// Spread: all agree, shares follow the weights, and who leaves moves only its own.
func TestSpread(t *testing.T) {
	weights := map[string]float64{"m1": 1, "m2": 1, "m3": 2}
	fewer := map[string]float64{"m1": 1, "m3": 2}
	first := map[string]int{}
	for i := range 2000 {
		name := fmt.Sprintf("target%d", i)
		order := Spread(name, weights)
		first[order[0]]++
		without := slices.DeleteFunc(slices.Clone(order), func(m string) bool { return m == "m2" })
		if got := Spread(name, fewer); !slices.Equal(got, without) {
			t.Fatalf("%s: %v without m2 is %v", name, order, got)
		}
	}
	for m, want := range map[string]int{"m1": 500, "m2": 500, "m3": 1000} {
		if got := first[m]; got < want*9/10 || got > want*11/10 {
			t.Errorf("%s comes first %d times, want about %d", m, got, want)
		}
	}
}

func FuzzDecodeReport(f *testing.F) {
	good, err := (&Report{Version: 1, Monitor: "m1", Seq: 3, Lines: []Line{{Target: "t1", Path: PathGood, Owns: true, Epoch: 9, Boot: "ab", Slot: 1}}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		good, good[:len(good)/2], []byte(`{"v":1,"monitor":"\u001b[2J","targets":[]}`), []byte(`{"v":2,"monitor":"m"}`),
		[]byte(`{"v":1,"monitor":"m","targets":[{"target":"t"},{"target":"t"}]}`), []byte(`{"v":1,"monitor":"m","weight":-1}`),
		[]byte(`{"v":1,"monitor":"m","targets":[{"target":"t","path":"great"}]}`), []byte("[[[[[["), {0xff, 0x16, 3, 1},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReport(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		m := NewMember(Config{Self: "me", Monitors: []string{"me", r.Monitor}, Lease: lease, Targets: []Target{{Name: "t1"}}})
		m.Step(0, Heard{1, r})
		m.Status(time.Millisecond)
		if _, err := DecodeReport(again); err != nil {
			t.Errorf("%s is written as %s: %v", b, again, err)
		}
	})
}
