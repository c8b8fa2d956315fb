// SPDX-License-Identifier: Apache-2.0

package mtcp

import "time"

// Path is what an endpoint has learnt of the network between itself and its
// peer: the components that a failure of the node itself may have spoiled.
type Path struct {
	Cwnd, Ssthresh uint32 // in segments
	// What they were when it last began to repair a loss; 0: not known.
	PriorCwnd, PriorSsthresh uint32

	Repairing   bool   // it recovers from a loss, by duplicates or by timer
	Retransmits uint32 // times that the timer has struck in a row
	Outstanding uint32 // segments sent again that are under way

	SRTT, RTTVar time.Duration // smoothed; the variance as it enters the time-out
	Backoff      uint32        // how often the time-out was doubled
}

// Infinite is a slow-start threshold that nothing has set
// (include/net/tcp.h, TCP_INFINITE_SSTHRESH).
const Infinite = 0x7fffffff

// Retransmitting reports whether the endpoint was sending again what it had
// sent: the network may have lost it, or its own node (§3.6.5, step 6).
func (p Path) Retransmitting() bool { return p.Repairing || p.Retransmits > 0 || p.Outstanding > 0 }

// Start is how an endpoint begins that takes over a Path. Zero means that
// nothing is known and TCP's own beginning holds.
type Start struct {
	Cwnd, Ssthresh    uint32
	SRTT, RTTVar, RTO time.Duration
	Undone            bool // Cwnd or Ssthresh is as of before the retransmissions
}

// Start decides as §3.6.5, step 6: windows are kept, for they may tell of the
// network; while the dead node was retransmitting they are what they were
// before, for the loss was then more likely its own. Of the round-trip times the
// estimates are kept, which a single event moves little, and the state of the
// estimator is dropped: the time-out is that of the estimates without back-off.
func (p Path) Start() Start {
	s := Start{Cwnd: p.Cwnd, Ssthresh: p.Ssthresh, SRTT: p.SRTT, RTTVar: p.RTTVar}
	if p.SRTT > 0 {
		s.RTO = p.SRTT + p.RTTVar
	}
	if !p.Retransmitting() {
		return s
	}
	// A loss only ever makes them smaller; 0, or less, is what was never saved.
	if p.PriorCwnd > s.Cwnd {
		s.Cwnd, s.Undone = p.PriorCwnd, true
	}
	if p.PriorSsthresh > s.Ssthresh {
		s.Ssthresh, s.Undone = p.PriorSsthresh, true
	}
	return s
}
