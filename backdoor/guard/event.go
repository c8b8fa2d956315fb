// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"strings"
	"time"

	"lazystate/backdoor/uapi"
)

// EventKind is what the guard tells its log.
type EventKind uint8

const (
	Denied    EventKind = iota + 1 // a connection
	Refused                        // an operation
	Agreed                         // enough monitors asked for the same: it takes effect
	Joined                         // a latecomer to an agreement
	Disagreed                      // monitors ask for different bytes at one place
	Expired                        // the window closed before enough had asked
	Owned                          // a monitor took the target
	Given                          // and gave it up
	Lapsed                         // or its lease ended
)

func (k EventKind) String() string {
	return [...]string{"none", "denied", "refused", "agreed", "joined", "disagreed", "expired", "owned", "given", "lapsed"}[min(k, Lapsed)]
}

// Event is one line of the guard's log.
type Event struct {
	Time             time.Duration
	Kind             EventKind
	Monitor          uint32 // who did it; of Agreed see Monitors
	Monitors, Others uint32 // masks: who agree, and who ask for something else
	Region           uint32 // kind of the region
	Op               Op
	Epoch            uint32
	Why              string
}

func (e Event) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s", e.Kind)
	if e.Kind != Agreed {
		fmt.Fprintf(&s, " monitor %d", e.Monitor)
	}
	if e.Op != 0 {
		fmt.Fprintf(&s, " %s", e.Op)
	}
	if e.Region != 0 {
		fmt.Fprintf(&s, " %s", uapi.RegionKindName(e.Region))
	}
	if e.Epoch != 0 {
		fmt.Fprintf(&s, " epoch %d", e.Epoch)
	}
	if e.Monitors != 0 {
		fmt.Fprintf(&s, " asked by %v", monitors(e.Monitors))
	}
	if e.Others != 0 {
		fmt.Fprintf(&s, ", otherwise by %v", monitors(e.Others))
	}
	if e.Why != "" {
		fmt.Fprintf(&s, ": %s", e.Why)
	}
	return s.String()
}

// mostEvents bounds the log between two calls of Events: a monitor that does
// wrong as fast as it can must not fill memory.
const mostEvents = 256

func (g *Guard) event(e Event) {
	if len(g.events) >= mostEvents {
		g.lost++
		return
	}
	g.events = append(g.events, e)
}

// Events returns what happened since the last call, and how many events more
// found no place.
func (g *Guard) Events() (events []Event, lost int) {
	events, lost = g.events, g.lost
	g.events, g.lost = nil, 0
	return events, lost
}
