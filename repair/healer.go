// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"time"

	"lazystate/backdoor"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// Healer is a healing module (HM, §3.7.1): fine-grained diagnosis, repair and
// its proof. The dispatcher calls the three in this order, one incident of a
// target at a time, and stops where one returns an error.
type Healer interface {
	Name() string

	// Plan validates the events and names the culprits, or the steps of a repair
	// that accuses nobody. It changes nothing. A plan without either needs no
	// repair, and says why.
	Plan(ctx context.Context, in *Incident) (*Plan, error)

	// Apply acts. Its outcome is returned with an error too: what was done
	// before it.
	Apply(ctx context.Context, in *Incident, p *Plan) (*Outcome, error)

	// Verify tells whether the target is well, by its own look at it.
	Verify(ctx context.Context, in *Incident, p *Plan, o *Outcome) (*Verdict, error)
}

// Incident is what a healer is called for: events of its sensors, coalesced.
type Incident struct {
	ID      string
	Patient *Patient
	Events  []sensorbox.Event
	Attempt int // from 1
	Began   time.Time

	// Relapses counts incidents of this healer that settled by themselves
	// within the last half minute: what keeps coming back has not settled.
	Relapses int

	healer string
	vigil  *vigil // nil: nobody has looked yet
	tried  bool   // a repair was begun
}

const (
	relapseWithin = 30 * time.Second
	relapseMost   = 2           // settled incidents after which the next is not waited for
	inVain        = time.Second // between diagnoses that wait for nothing and find nothing
)

// Confirmed reports whether the condition needs no confirm window: a repair of
// this incident was tried already, or the condition keeps coming back. An
// attempt that failed before it acted has confirmed nothing.
func (in *Incident) Confirmed() bool { return in.tried || in.Relapses >= relapseMost }

// Plan is a diagnosis and what it was made from.
type Plan struct {
	policy.Diagnosis
	Policy string
	Spare  policy.Spare
	Only   []ProcessID // kill only these of the accused; nil: all processes of the user
	Steps  []string    // of a repair that accuses nobody: what it will do, in order

	Why     string        // without culprits: why nothing is to be done
	Watched []Threshold   // must hold again for a repair to be called healed
	Confirm time.Duration // how long the condition was watched before
	Reads   backdoor.Stats
	Walk    time.Duration // time of the remote walk
	Seen    int           // processes in the table

	policy policy.Policy // nil: of an external healer
}

// Needed reports whether there is something to repair.
func (p *Plan) Needed() bool { return len(p.Culprits) > 0 || len(p.Steps) > 0 }

// Accused is the finding that the repair executes, if it has culprits.
func (p *Plan) Accused() policy.Finding { return p.Findings[0] }

// Threshold is a sensor and the value it must come back to; a pressure sensor
// must come to rest.
type Threshold struct {
	Sensor  string
	Class   sensorbox.Class
	Limit   uint64
	Minimum bool
}

// Outcome is what a repair did: only what was read back counts.
type Outcome struct {
	Rounds    []Round
	Killed    int // processes whose kill was read back as done
	Gone      int // that were gone before it came
	Refused   []backdoor.KillResult
	Unread    int // posted, no result seen
	Pending   int // read back as done, but still there at the end (D state)
	Frozen    time.Duration
	Raw       bool // some view was not drained
	KilledIDs []ProcessID
	Done      []string // steps that were carried out, each with its result
	Left      []string // what could not be helped, each with the reason
}

// ProcessID names a process for good: pids are used again.
type ProcessID struct {
	PID   int32
	Start time.Duration
}

// Round is one freeze.
type Round struct {
	Found     int           `json:"found"` // culprits in the frozen table
	Done      int           `json:"done"`
	Raw       bool          `json:"raw"`
	Grant     time.Duration `json:"grant_ns"`  // request to frozen
	Frozen    time.Duration `json:"frozen_ns"` // frozen to thawed
	Walk      time.Duration `json:"walk_ns"`
	Reads     uint64        `json:"reads"`
	Batches   uint64        `json:"batches"`
	Processes int           `json:"processes"`
}

// Verdict is what Verify saw.
type Verdict struct {
	Healed    bool     `json:"healed"`
	Why       string   `json:"why,omitempty"` // not healed, or healed with a remark
	Left      int      `json:"left"`          // killed processes that still live
	Respawned int      `json:"respawned"`     // new processes of the accused user
	Above     []string `json:"above,omitempty"`

	another bool // somebody else is above the limits of the policy
}
