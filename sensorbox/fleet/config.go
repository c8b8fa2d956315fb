// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"time"
)

// Config is what one monitor knows of its fleet.
type Config struct {
	Self     string
	Monitors []string // all that may be heard of, in the order of preference; Self may be missing
	Targets  []Target

	// Lease bounds the time from a monitor's death to its replacement.
	Lease time.Duration

	// Told: who comes and goes is said by inputs, not by silence and not by
	// Monitors (etcd); targets without an Order are spread over who is there.
	Told   bool
	Weight float64 // this monitor's share of them, against the others'; 1 if 0

	// Failback gives a target back to the first of its order once that one has
	// had a good path for Settle.
	Failback bool
	Settle   time.Duration // 10 leases if 0
}

// Target is one that this monitor can own.
type Target struct {
	Name  string
	Order []string // the most wanted owner first; nil: as Config.Monitors, or spread
	Slot  uint32   // this monitor's slot
}

// Beats is how many reports a monitor sends in a lease.
const Beats = 5

// Beat is the time between two reports.
func (c *Config) Beat() time.Duration { return c.Lease / Beats }

// Term is the lease that is asked of a writer's place, and how long a monitor is
// believed to live without a word: a beat less than the whole, for the successor.
func (c *Config) Term() time.Duration { return c.Lease - c.Beat() }

// ErrShortLease is a lease that no honest clock and network keep.
var ErrShortLease = errors.New("a lease is at least 100 ms")

// Check reports what makes a configuration impossible.
func (c *Config) Check() error {
	if c.Lease < 100*time.Millisecond {
		return fmt.Errorf("lease of %v: %w", c.Lease, ErrShortLease)
	}
	seen := map[string]bool{}
	for _, t := range c.Targets {
		if seen[t.Name] {
			return fmt.Errorf("target %q is there twice", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// digest is what monitors compare to see that they mean the same order.
func digest(order []string) uint64 {
	h := fnv.New64a()
	for _, name := range order {
		h.Write([]byte(name))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

// Spread orders monitors for one target by weighted rendezvous hashing: each
// comes first for its share of the targets, everybody computes the same, and
// who leaves or comes moves only the targets that it had or gets.
func Spread(target string, weights map[string]float64) []string {
	score := func(name string) float64 {
		h := fnv.New64a()
		h.Write([]byte(name + "\x00" + target))
		u := (float64(mix(h.Sum64())>>11) + 0.5) / (1 << 53) // in (0, 1)
		return -weights[name] / math.Log(u)
	}
	return slices.SortedFunc(maps.Keys(weights), func(a, b string) int {
		return cmp.Or(cmp.Compare(score(b), score(a)), cmp.Compare(a, b))
	})
}

// mix is the end of MurmurHash3: names that differ in their last letter alone
// are next to each other by FNV.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// drift is the share of a lease by which two clocks may differ over it: clocks
// need not agree, but their rates do (§3.5.1).
const drift = 10

// Proof is until when a lease that was asked for at sent is surely running, by
// the clock of who asked: its giver counts from when it heard of it, not earlier.
func Proof(sent, lease time.Duration) time.Duration { return sent + lease - lease/drift }
