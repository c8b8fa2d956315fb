// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"math/rand/v2"
	"testing"

	"lazystate/bench/soaktest"
	"lazystate/tools/lab"
)

// record is where make soak leaves what came of it.
const record = "../../bench/results/soak-dsm.json"

// seeds are how many there are, from 0 on: many in make soak.
func seeds(few int) uint64 { return uint64(lab.Count(few, 20*few)) }

// lives is a node's history of some lives, each of which ends at an operation of
// the disk, by a killed process or the loss of power. What was said to be safe is
// there each time, and nothing that is not whole.
func lives(t *testing.T, seed uint64, stops []int, dirs ...string) *node {
	n := newNode(t, seed, dirs...)
	for i, stop := range stops {
		n.d.stopAt, n.d.ops = stop, 0
		err := n.live(6)
		if err != nil && !errors.Is(err, errStopped) {
			t.Fatalf("seed %d, life %d, stopped at %d: %v", seed, i, stop, err)
		}
		n.d = n.d.crash(n.rng, (seed>>1)%2 == 0)
	}
	n.d.stopAt = -1
	if err := n.live(4); err != nil {
		t.Fatalf("seed %d, after stops at %v: %v", seed, stops, err)
	}
	return n
}

// A node may be lost at each operation of its disk.
func TestLostAtEveryStep(t *testing.T) {
	whole := newNode(t, 0, "a")
	if err := whole.live(6); err != nil {
		t.Fatal(err)
	}
	steps := whole.d.ops
	if steps < 100 {
		t.Fatalf("%d operations are few", steps)
	}
	book := soaktest.New(t, record, 0, 0)
	for stop := range steps + 40 {
		for seed := range seeds(3) {
			lives(t, seed, []int{stop}, "a")
			book.Runs++
		}
	}
}

// And again in the lives after, which begin with what the lost ones left.
func TestLostAgainAndAgain(t *testing.T) {
	book := soaktest.New(t, record, 0, 0)
	for seed := range seeds(300) {
		rng := rand.New(rand.NewPCG(seed, 9))
		var stops []int
		for range 1 + rng.IntN(5) {
			stops = append(stops, rng.IntN(160))
		}
		dirs := []string{"a", "b", "c"}[:1+rng.IntN(3)]
		lives(t, seed, stops, dirs...)
		book.Runs++
		book.Add("lives", len(stops)+1)
	}
}

// An operation that fails, because the disk is full or broken, costs one checkpoint
// at most: the caller is told, what was there is there, and the next one is saved.
func TestFailsAtEveryStep(t *testing.T) {
	book := soaktest.New(t, record, 0, 0)
	failed := 0
	for at := range 220 {
		for seed := range seeds(2) {
			dirs := []string{"a", "b"}[:1+at%2]
			n := newNode(t, seed, dirs...)
			if err := n.begin(); err != nil {
				t.Fatal(err)
			}
			n.d.failAt, n.d.ops = at, 0
			for range 6 {
				if err := n.save(); errors.Is(err, errFull) {
					failed++
				} else if err != nil {
					t.Fatal(err)
				}
				n.collect()
			}
			_ = n.s.Close() // it may be what fails
			n.d.failAt = -1
			book.Runs++
			if err := n.live(2); err != nil {
				t.Fatalf("seed %d, failed at %d: %v", seed, at, err)
			}
		}
	}
	book.Add("checkpoints failed", failed)
	if failed < 100 {
		t.Errorf("%d checkpoints failed", failed)
	}
}
