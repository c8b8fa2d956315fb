// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"time"

	"lazystate/backdoor/uapi"
)

// freeze is the excuse of a machine whose CPUs the repair lock holds: stalls
// do not count. The excuse ends when no renewal has been seen for the longest
// lease, else a machine that dies under the lock would never be declared.
type freeze struct {
	on       bool
	leaseEnd uint64
	renewed  time.Duration
	seen     bool
	grants   uint64 // at the last sample
	counted  bool
}

func (d *Detector) freezing(in *Input, out []Event) []Event {
	f := &d.frozen
	// A freeze that came and went between two samples shows in the count only.
	blink := f.counted && in.Lock.Grants != f.grants
	f.counted, f.grants = true, in.Lock.Grants
	switch in.Lock.State {
	case uapi.LockStopping, uapi.LockHeld, uapi.LockReleasing:
		if !f.seen || in.Lock.LeaseEnd != f.leaseEnd {
			f.seen, f.leaseEnd, f.renewed = true, in.Lock.LeaseEnd, in.End
		}
		f.on = in.Start-f.renewed <= d.cfg.freeze()
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
