// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"time"

	"lazystate/backdoor/uapi"
)

// freeze is the excuse of a machine whose CPUs the repair lock holds: stalls
// do not count. The excuse ends with the lease that was last seen to be granted
// or renewed, else a machine that dies under the lock would never be declared.
type freeze struct {
	on       bool
	leaseEnd uint64
	over     time.Duration // when that lease has ended, by the monitor's clock
	began    time.Duration // the freeze was first seen
	boxTime  uint64        // then, by the target's clock
	seen     bool
	grants   uint64 // at the last sample
	counted  bool
}

// leaseGrace is the time to thaw, and for the clocks to go on.
const leaseGrace = time.Second

// left is what is left of the lease that a sample shows, with a grace. The
// target's clock is late rather than early, for it stands at its last tick.
func (f *freeze) left(in *Input) time.Duration {
	now := f.boxTime + uint64(in.End-f.began)
	if f.boxTime == 0 || in.Lock.LeaseEnd > now && in.Lock.LeaseEnd-now > uint64(longestLease) {
		return longestLease + leaseGrace
	}
	return time.Duration(in.Lock.LeaseEnd-min(now, in.Lock.LeaseEnd)) + leaseGrace
}

func (d *Detector) freezing(in *Input, out []Event) []Event {
	f := &d.frozen
	// A freeze that came and went between two samples shows in the count only.
	blink := f.counted && in.Lock.Grants != f.grants
	f.counted, f.grants = true, in.Lock.Grants
	switch in.Lock.State {
	case uapi.LockStopping, uapi.LockHeld:
		if !f.seen || in.Lock.LeaseEnd != f.leaseEnd {
			if !f.seen { // later, the box's clock stands still with the rest
				f.seen, f.began, f.boxTime = true, in.End, in.View.Header.MonoNs
			}
			f.leaseEnd, f.over = in.Lock.LeaseEnd, in.End+min(d.cfg.freeze(), f.left(in))
		}
		f.on = in.Start <= f.over
	case uapi.LockFenced:
		f.on = true
		if !d.fenced {
			d.fenced = true
			out = append(out, Event{Kind: Fenced, At: in.End})
		}
	default:
		*f = freeze{on: blink, grants: f.grants, counted: true}
	}
	return out
}
