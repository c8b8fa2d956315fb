// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"net/netip"
	"time"

	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
)

// Report is what came of it.
type Report struct {
	Steps    []Step
	Sessions []Outcome // in the order of the target's directory
	Reads    uint64    // of the target's memory, behind the fence
	Batches  uint64    // that they took
	Bytes    uint64    // that were read
}

// Step is when something was done, since Run began.
type Step struct {
	Name string
	At   time.Duration
}

// Outcome is what became of one session.
type Outcome struct {
	Entry         int // in the target's directory
	Local, Remote netip.AddrPort
	ID            cbox.ID
	Name          string // of the service

	Err   error // why it does not live here; nil: it does
	Here  bool  // it has lived here since a salvage that did not come to its end
	Held  bool  // its socket was stopped half-updated
	Asked bool  // its client has said what it has
	Notes []string
	Start mtcp.Start    // what was known of its path: see Path.Start
	Live  time.Duration // when it went on, since Run began
}

// Saved counts the sessions that live here.
func (r *Report) Saved() (n int) {
	for i := range r.Sessions {
		if r.Sessions[i].Err == nil {
			n++
		}
	}
	return n
}
