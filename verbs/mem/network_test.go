// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/internal/seqnum"
	"lazystate/verbs/driver"
)

// arrivals sends n numbered messages over a network and returns the numbers
// that arrived, in their order.
func arrivals(t *testing.T, f Faults, n int) []uint32 {
	t.Helper()
	net := NewNetwork(f)
	gid := driver.GID{1}
	d := &Device{net: net, gid: gid}
	d.inbox.wake = make(chan struct{}, 1)
	net.devices[gid] = d
	for i := range n {
		net.send(&message{to: gid, psn: seqnum.PSN(i)})
	}
	for late := true; late; {
		time.Sleep(time.Millisecond)
		net.mu.Lock()
		late = net.lateRuns
		net.mu.Unlock()
	}
	var psns []uint32
	for _, m := range d.inbox.take() {
		psns = append(psns, uint32(m.psn))
	}
	return psns
}

func TestFaultsHappenInTheirShares(t *testing.T) {
	const n = 20000
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.02 {
			t.Errorf("%s: %.3f, want %.3f", what, got, want)
		}
	}
	near("lost", 1-float64(len(arrivals(t, Faults{Seed: 1, Loss: 0.2}, n)))/n, 0.2)
	near("doubled", float64(len(arrivals(t, Faults{Seed: 2, Dup: 0.3}, n)))/n-1, 0.3)
	overtaken, highest := 0, uint32(0)
	for _, psn := range arrivals(t, Faults{Seed: 3, Reorder: 0.1}, n) {
		if psn < highest {
			overtaken++
		}
		highest = max(highest, psn)
	}
	if overtaken < n/20 || overtaken > n/5 {
		t.Errorf("%d of %d were overtaken", overtaken, n)
	}
	inOrder := arrivals(t, Faults{Delay: 2 * time.Millisecond}, 500)
	for i, psn := range inOrder {
		if psn != uint32(i) {
			t.Fatalf("a delay of all messages alike changed their order: %d is %d.", psn, i)
		}
	}
}

func TestTheSeedRepeatsTheDice(t *testing.T) {
	f := Faults{Seed: 42, Loss: 0.3, Dup: 0.3}
	a, b := arrivals(t, f, 1000), arrivals(t, f, 1000)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("the same seed, other faults:\n%s", diff)
	}
	f.Seed = 43
	if cmp.Equal(a, arrivals(t, f, 1000)) {
		t.Error("another seed, the same faults")
	}
}

func TestParse(t *testing.T) {
	name, f, err := parse("lab?seed=7&loss=0.25&dup=1&reorder=0&delay=3ms")
	want := Faults{Seed: 7, Loss: 0.25, Dup: 1, Delay: 3 * time.Millisecond}
	if err != nil || name != "lab" || f != want {
		t.Errorf("%q, %+v, %v", name, f, err)
	}
	for _, bad := range []string{"", "?seed=1", "x?loss=1.5", "x?loss=NaN", "x?seed=-1", "x?delay=-1s", "x?los=1", "x?%zz"} {
		if _, _, err := parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDevicesOfOneNameShareANetwork(t *testing.T) {
	open := func(name string) *Device {
		d, err := Provider{}.Open(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d.(*Device)
	}
	a, b, c := open("one?loss=0.5"), open("one"), open("two")
	if a.net != b.net || a.net == c.net || a.gid == b.gid || b.net.faults.Loss != 0.5 {
		t.Error("networks or addresses are mixed up")
	}
}

func TestSetKeepsTheDice(t *testing.T) {
	n := NewNetwork(Faults{Seed: 5})
	n.Set(Faults{Loss: 1})
	if n.faults.Seed != 5 || n.faults.Loss != 1 {
		t.Errorf("%+v", n.faults)
	}
}
