// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"lazystate/backdoor/uapi"
)

// Policy is who may do what with one target.
type Policy struct {
	Monitors map[uint32]Monitor   // by slot
	Writes   map[uint32]Agreement // by kind of region: writes that several must ask for
	Reads    map[uint32]Agreement // by kind of region: reads likewise

	// Hold is how long a lock that was agreed on may be renewed by its holder
	// alone; a minute if 0.
	Hold time.Duration

	// Floor is where the counters of connections and the sequence numbers of
	// ownership begin: the wall clock in nanoseconds, so that what was recorded
	// before the guard was restarted counts for nothing.
	Floor uint64
}

// Monitor is one identified monitor.
type Monitor struct {
	Name  string
	Key   uapi.Key
	Read  uint64 // bit k: regions of kind k (uapi.Kind*)
	Write uint64
	Lock  bool // may hold the repair lock
	Fence bool
	Own   bool // may own the target
}

// Kinds returns the mask of some kinds of regions.
func Kinds(kinds ...uint32) uint64 {
	mask := uint64(0)
	for _, k := range kinds {
		mask |= 1 << (k & 63)
	}
	return mask
}

// Agreement is k of n: an operation takes effect when K of the Voters have
// asked for the same within Window.
type Agreement struct {
	K      int
	Voters uint32 // mask of monitor slots; 0: every monitor of the policy
	Window time.Duration
}

const (
	defaultHold   = time.Minute
	longestWindow = time.Minute
	leastWindow   = 10 * time.Millisecond
)

// agreeable are the regions whose writes can wait: the hooks, and memory that
// is written as it is.
var agreeable = []uint32{uapi.KindLockReq, uapi.KindFence, uapi.KindKillReq, uapi.KindKnobReq, uapi.KindDevice}

// without are the regions that a monitor must be able to read to take part.
var without = []uint32{uapi.KindTable, uapi.KindOwnerReq, uapi.KindOwnerAck}

// sealed returns a checked copy that shares nothing with p.
func (p Policy) sealed() (Policy, error) {
	p.Monitors, p.Writes, p.Reads = maps.Clone(p.Monitors), maps.Clone(p.Writes), maps.Clone(p.Reads)
	if p.Hold == 0 {
		p.Hold = defaultHold
	}
	if len(p.Monitors) == 0 {
		return p, errors.New("no monitors")
	}
	keys := map[uapi.Key]uint32{}
	for slot, m := range p.Monitors {
		other, twice := keys[m.Key]
		switch {
		case slot >= uapi.Monitors:
			return p, fmt.Errorf("monitor slot %d: a target has %d", slot, uapi.Monitors)
		case m.Key == uapi.Key{}:
			return p, fmt.Errorf("monitor %d has no key", slot)
		case twice:
			return p, fmt.Errorf("monitors %d and %d have the same key: they would be one", slot, other)
		}
		keys[m.Key] = slot
	}
	return p, errors.Join(p.seal(p.Writes, "writes", func(k uint32) bool { return slices.Contains(agreeable, k) }),
		p.seal(p.Reads, "reads", func(k uint32) bool { return !slices.Contains(without, k) }))
}

func (p *Policy) seal(agreements map[uint32]Agreement, what string, allowed func(kind uint32) bool) error {
	all := uint32(0)
	for slot := range p.Monitors {
		all |= 1 << slot
	}
	for kind, a := range agreements {
		if a.Voters == 0 {
			a.Voters = all
			agreements[kind] = a
		}
		n := bits.OnesCount32(a.Voters)
		where := what + " of " + uapi.RegionKindName(kind)
		switch {
		case !allowed(kind):
			return fmt.Errorf("%s: nobody can agree on them", where)
		case a.Voters&^all != 0:
			return fmt.Errorf("%s: voters %#b are not all monitors", where, a.Voters)
		case a.K < 2 || a.K > n:
			return fmt.Errorf("%s: %d of %d: want at least 2, and no more than there are", where, a.K, n)
		case 2*a.K <= n: // §3.8: all or a majority
			return fmt.Errorf("%s: %d of %d is no majority: two groups could each agree", where, a.K, n)
		case a.Window < leastWindow || a.Window > longestWindow:
			return fmt.Errorf("%s: a window of %s: want %s to %s", where, a.Window, leastWindow, longestWindow)
		}
	}
	return nil
}

// mayWrite says why a monitor may not write regions of a kind; "" if it may.
func (m *Monitor) mayWrite(kind uint32) string {
	switch {
	case m.Write>>kind&1 == 0:
		return "its policy has no such region to write"
	case kind == uapi.KindLockReq && !m.Lock:
		return "its policy does not let it lock"
	case kind == uapi.KindFence && !m.Fence:
		return "its policy does not let it fence"
	case kind == uapi.KindOwnerReq && !m.Own:
		return "its policy does not let it own the target"
	}
	return ""
}

// MayWrite reports whether the policy lets the monitor write regions of a kind.
func (m *Monitor) MayWrite(kind uint32) bool { return kind < 64 && m.mayWrite(kind) == "" }
