// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Stats counts since the maps were made; what is pinned counts over restarts.
type Stats struct {
	RewrittenOut, RewrittenIn uint64 // segments (of any size: TSO, GRO)
	DataHeld                  uint64 // segments of the client, MIGRATING and SWITCHED
	AcksClampedIn             uint64 // acknowledgements of S1 after the beginning of a move
	AcksClampedOut            uint64 // of the client, for what S2 has not sent yet
	SacksBlanked              uint64
	Blackholed                uint64 // segments of servers that no longer have the session
	Opened                    uint64 // SWITCHED to MOVED
	Expired                   uint64 // segments of sessions whose MIGRATING had ended by itself
	Told, TellingsLost        uint64 // events, and those for which there was no room
	Offered, OffersTooLong    uint64 // SYN+ACKs
	HeldIn, HeldOut           uint64 // segments of flows on hold
	Kept, KeptLost            uint64 // segments held back at a gateway: to be sent later, or for which there was no room
	Refused                   uint64 // segments dropped because they could not be rewritten
}

// fields is where each counter goes.
func (s *Stats) fields() map[bpfCounter]*uint64 {
	return map[bpfCounter]*uint64{
		bpfCounterREWRITTEN_OUT: &s.RewrittenOut, bpfCounterREWRITTEN_IN: &s.RewrittenIn, bpfCounterDATA_HELD: &s.DataHeld,
		bpfCounterACKS_CLAMPED_IN: &s.AcksClampedIn, bpfCounterACKS_CLAMPED_OUT: &s.AcksClampedOut,
		bpfCounterSACKS_BLANKED: &s.SacksBlanked, bpfCounterBLACKHOLED: &s.Blackholed, bpfCounterOPENED: &s.Opened,
		bpfCounterEXPIRED: &s.Expired, bpfCounterTELLINGS: &s.Told, bpfCounterTELLINGS_LOST: &s.TellingsLost,
		bpfCounterOFFERED: &s.Offered, bpfCounterOFFERS_TOO_LONG: &s.OffersTooLong,
		bpfCounterKEPT: &s.Kept, bpfCounterKEPT_LOST: &s.KeptLost,
		bpfCounterHELD_IN: &s.HeldIn, bpfCounterHELD_OUT: &s.HeldOut, bpfCounterREFUSED: &s.Refused,
	}
}

func readStats(m *ebpf.Map) (Stats, error) {
	var s Stats
	for which, to := range s.fields() {
		var perCPU []uint64
		if err := m.Lookup(uint32(which), &perCPU); err != nil {
			return Stats{}, fmt.Errorf("counters: %w", err)
		}
		for _, n := range perCPU {
			*to += n
		}
	}
	return s, nil
}
