// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lazystate/backdoor/uapi"
)

// history is what the monitors of a property test have asked for.
type history struct {
	asked  map[uint32]map[uint32]time.Duration // pid -> slot -> last time
	agreed map[uint32]time.Duration            // pid -> when K had asked for it
}

// Whatever monitors do, and in whatever order, a kill reaches the target only if
// K monitors asked for it within the window, in the name of one that asked, and,
// while somebody owns the target, only in its owner's name.
func TestNothingWithoutAgreement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint32Range(2, uapi.Monitors).Draw(t, "monitors")
		k := rapid.IntRange(int(n)/2+1, int(n)).Draw(t, "k")
		const window = time.Second
		p := Policy{Monitors: map[uint32]Monitor{}, Writes: map[uint32]Agreement{uapi.KindKillReq: {K: max(k, 2), Window: window}}}
		for slot := range n {
			p.Monitors[slot] = Monitor{Key: testKey(slot), Read: ^uint64(0), Write: ^uint64(0), Own: true}
		}
		g, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		a, h, now := asker{boot: [16]byte{1}}, history{map[uint32]map[uint32]time.Duration{}, map[uint32]time.Duration{}}, time.Duration(0)
		g.Boot(a.boot)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 700).Draw(t, "ms")) * time.Millisecond
			slot := rapid.Uint32Range(0, n-1).Draw(t, "slot")
			if rapid.IntRange(0, 5).Draw(t, "own") == 0 {
				lease := rapid.SampledFrom([]string{"100ms", "1s", "5s"}).Draw(t, "lease")
				for _, r := range a.own(slot, "own", args{"lease": lease, "epoch": "1"}) {
					g.Access(now, &r)
				}
				continue
			}
			pid := rapid.Uint32Range(100, 103).Draw(t, "pid")
			if h.asked[pid] == nil {
				h.asked[pid] = map[uint32]time.Duration{}
			}
			h.asked[pid][slot] = now
			for _, r := range a.kill(slot, pid) {
				h.check(t, g, now, window, max(k, 2), g.Access(now, &r))
			}
		}
	})
}

func (h *history) check(t *rapid.T, g *Guard, now, window time.Duration, k int, v Verdict) {
	for i, p := range v.Apply {
		records, post := areas(p.Kind, p.Monitor)
		if !records.contains(p.Off, uint64(len(p.Data))) && !post.contains(p.Off, uint64(len(p.Data))) {
			t.Fatalf("written outside of monitor %d's slots: %+v", p.Monitor, p)
		}
		if i%2 == 1 {
			continue // the post word of the batch before
		}
		pid := binary.LittleEndian.Uint32(p.Data[uapi.KillSlotPIDOff:])
		recent := 0
		for _, at := range h.asked[pid] {
			if now-at <= window {
				recent++
			}
		}
		if recent >= k {
			h.agreed[pid] = now
		}
		if at, ok := h.agreed[pid]; !ok || now-at > window {
			t.Fatalf("pid %d was killed, asked for by %v at %v", pid, h.asked[pid], now)
		}
		if _, ok := h.asked[pid][p.Monitor]; !ok {
			t.Fatalf("pid %d was killed in the name of %d, who never asked", pid, p.Monitor)
		}
		if owner, _, owned := g.Owner(now); owned && owner != p.Monitor {
			t.Fatalf("pid %d was killed in the name of %d, the owner is %d", pid, p.Monitor, owner)
		}
	}
}

// K that ask for the same within the window get it, whatever the others do.
func TestAgreementIsReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation([]uint32{0, 1, 2, 3, 4}).Draw(t, "order")
		g, err := New(Policy{
			Monitors: map[uint32]Monitor{0: all(0), 1: all(1), 2: all(2), 3: all(3), 4: all(4)},
			Writes:   map[uint32]Agreement{uapi.KindKillReq: {K: 3, Window: time.Second}},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, applied := asker{}, map[uint32]bool{}
		for i, slot := range order {
			now := time.Duration(i) * 200 * time.Millisecond
			pid := uint32(100)
			if slot > 2 { // a minority that asks for something else
				pid = 100 + slot
			}
			for _, r := range a.kill(slot, pid) {
				for _, p := range g.Access(now, &r).Apply {
					applied[p.Monitor] = true
				}
			}
		}
		if len(applied) != 3 || !applied[0] || !applied[1] || !applied[2] {
			t.Fatalf("carried out for %v, order %v", applied, order)
		}
	})
}

func all(slot uint32) Monitor {
	return Monitor{Key: testKey(slot), Read: ^uint64(0), Write: ^uint64(0), Lock: true, Fence: true, Own: true}
}

// One target never has two owners, and its epoch never falls.
func TestOneOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, err := New(Policy{Monitors: map[uint32]Monitor{0: all(0), 1: all(1), 2: all(2)}})
		if err != nil {
			t.Fatal(err)
		}
		a, now, lastEpoch, lastOwner, end := asker{}, time.Duration(0), uint32(0), uint32(0), time.Duration(0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 400).Draw(t, "ms")) * time.Millisecond
			slot := rapid.Uint32Range(0, 2).Draw(t, "slot")
			what := rapid.SampledFrom([]string{"own", "own", "own", "give"}).Draw(t, "what")
			epoch := rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}).Draw(t, "epoch")
			for _, r := range a.own(slot, what, args{"epoch": epoch, "lease": "500ms"}) {
				g.Access(now, &r)
			}
			owner, e, owned := g.Owner(now)
			if e < lastEpoch || owned && e == lastEpoch && owner != lastOwner {
				t.Fatalf("epoch %d of %d after epoch %d of %d", e, owner, lastEpoch, lastOwner)
			}
			if owned && owner != lastOwner && now < end && what != "give" {
				t.Fatalf("%d took the target %v before %d's lease ended", owner, end-now, lastOwner)
			}
			if owned {
				lastOwner, end = owner, max(end, time.Duration(g.OwnerAck(now).LeaseEndNs))
			} else {
				end = now
			}
			lastEpoch = e
		}
	})
}
