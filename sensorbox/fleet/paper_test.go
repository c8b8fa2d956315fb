// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func two(t *testing.T, leased bool) (w *world, a, b *node) {
	t.Helper()
	w = newWorld(Config{Lease: lease, Monitors: []string{"a", "b"}, Targets: []Target{{Name: "t"}}}, leased)
	a, b = w.node("a"), w.node("b")
	a.start()
	b.start()
	w.run(lease)
	if !a.acts("t") {
		t.Fatal("a does not own the target")
	}
	return w, a, b
}

func (w *world) verify(t *testing.T) {
	t.Helper()
	for _, s := range w.broken {
		t.Error(s)
	}
}

// §3.4.2: "If the probe fails, the monitoring function is delegated to a
// backup monitor with a healthy link to the target system."
func TestPaperProbeFails(t *testing.T) {
	for _, leased := range []bool{false, true} {
		w, a, b := two(t, leased)
		a.setPath("t", PathFailed)
		w.run(lease)
		if a.acts("t") || !b.acts("t") {
			t.Errorf("leased %v: a %v, b %v", leased, a.acts("t"), b.acts("t"))
		}
		w.verify(t)
	}
}

// §3.4.2, the other side of it: no healthy link, nobody to delegate to.
func TestPaperNoHealthyLink(t *testing.T) {
	w, a, b := two(t, false)
	for _, p := range []Path{PathFailed, PathUnknown} {
		b.setPath("t", p)
		w.run(lease)
		a.setPath("t", PathFailed)
		w.run(5 * lease)
		if !a.acts("t") {
			t.Errorf("a gave the target up to a monitor whose path is %s", p)
		}
		a.setPath("t", PathGood)
		w.run(lease)
	}
	w.verify(t)
}

// §3.4.2: "it is impossible to distinguish path failure from a real crash of
// the target node based only on reading values": silence on all sides accuses no path.
func TestPaperSilenceOnAllSides(t *testing.T) {
	w, a, b := two(t, true)
	a.setPath("t", PathSilent)
	w.run(50 * time.Millisecond) // b samples less often
	b.setPath("t", PathSilent)
	w.run(10 * lease)
	if !a.acts("t") {
		t.Error("a gave a silent target up to a monitor that has no answer either")
	}
	w.verify(t)
}

// §3.5.1: "a target can be a monitor of another system (including its own
// monitor)": two machines own each other's repair, and a word about one as a
// target is a word about it as a monitor.
func TestPaperSymmetry(t *testing.T) {
	cfg := Config{Lease: lease, Monitors: []string{"a", "b"}, Targets: []Target{{Name: "A", Order: []string{"b"}}, {Name: "B", Order: []string{"a"}}, {Name: "t"}}}
	w := newWorld(cfg, false)
	for _, n := range w.nodes {
		n.start()
	}
	w.run(lease)
	if got := w.owners(); got != "A:b B:a t:a" {
		t.Fatalf("owners %s", got)
	}
	a, b := w.node("a"), w.node("b")
	a.kill()
	b.step(Gone{"a", "its Sensor Box has stopped"}) // b sees A fail
	w.run(10 * time.Millisecond)
	if got := w.owners(); got != "A:b t:b" {
		t.Errorf("after a's death: %s", got)
	}
	w.verify(t)
}

// §3.5.1: "Clocks do not need to be synchronized, but their drift rates (from
// an arbitrary clock) must remain constant": a proof holds at any offset.
func TestPaperClocks(t *testing.T) {
	for _, offset := range []time.Duration{0, time.Hour, 1000 * time.Hour} {
		for _, rate := range []float64{0.96, 1, 1.04} {
			w, a, b := two(t, true)
			a.kill()
			w.run(lease)
			a.offset, a.rate = offset, rate
			a.start()
			w.run(3 * lease)
			b.kill()
			w.run(lease + lease/10)
			if !a.acts("t") {
				t.Errorf("offset %v, rate %v: not replaced within a lease", offset, rate)
			}
			w.verify(t)
		}
	}
}

// §3.8: "the monitor side of a BD will have to be replicated on different
// machines": while one monitor is left, every target has an owner within a
// lease of the owner's death.
func TestPaperReplication(t *testing.T) {
	for _, leased := range []bool{false, true} {
		names := []string{"a", "b", "c", "d"}
		w := newWorld(Config{Lease: lease, Monitors: names, Targets: []Target{{Name: "t"}, {Name: "u", Order: []string{"d", "c", "b", "a"}}}}, leased)
		for _, n := range w.nodes {
			n.start()
		}
		w.run(2 * lease)
		for left := names; len(left) > 1; {
			owner := left[slices.IndexFunc(left, func(s string) bool { return w.node(s).acts("t") })]
			w.node(owner).kill()
			left = slices.DeleteFunc(slices.Clone(left), func(s string) bool { return s == owner })
			w.run(lease)
			if got := w.owners(); strings.Count(got, ":") != 2 {
				t.Errorf("leased %v: a lease after the death of %s: %s", leased, owner, got)
			}
			w.run(lease)
		}
		w.verify(t)
	}
}
