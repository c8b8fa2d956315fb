// SPDX-License-Identifier: Apache-2.0

package sampling

import (
	"fmt"
	"math"
	"time"
)

// MuchGreater is what ">>" means in T >> RTT.
const MuchGreater = 10

// epsilon is the paper's: R >= 1 + epsilon, "just under one second".
const epsilon = 1e-3

// Goal is what a monitor promises, and what its path allows.
type Goal struct {
	Deadline time.Duration // T: the least L of all watched progress sensors
	PM       float64       // PM(T): greatest probability of a false accusation within T
	Loss     float64       // p_ml: share of reads that had no answer in their slot
	RTT      time.Duration // worst round trip to the target
	Fetch    time.Duration // worst time to fetch one Sensor Box, >= RTT
	Stall    time.Duration // ack timeout of an ordered queue; 0: the carrier has no such queue
	Queues   int           // K: queues that reads are spread over; 0 counts as 1
}

// Plan is how to sample.
type Plan struct {
	R      int           // samples during the deadline
	Period time.Duration // longest period that gives R samples before the deadline ends
}

// Reason is the condition of §3.4.2 that does not hold.
type Reason uint8

const (
	BadGoal      Reason = iota + 1 // no deadline, or a probability out of range
	SlowPath                       // not T >> RTT
	SlowFetch                      // R fetches do not fit into T
	OneQueue                       // T < 1.5 ack timeouts on a single ordered queue
	TooFewQueues                   // fewer queues than samples: a stall would take several at once
)

// Refusal is a goal that cannot be kept.
type Refusal struct {
	Reason Reason
	Why    string
}

func (r *Refusal) Error() string { return "sampling plan refused: " + r.Why }

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}

// Samples returns the least R with loss^R <= pm: log PM(T) / log p_ml, at least 1.
func Samples(pm, loss float64) int {
	if loss <= 0 || pm >= loss {
		return 1
	}
	r := math.Log(pm) / math.Log(loss)
	// Three losses at 1e-3 are 1e-9, whatever the last bit of the division.
	if near := math.Round(r); math.Abs(r-near) < 1e-9 {
		r = near
	}
	return int(math.Ceil(r))
}

// Plan returns the sampling plan, or a *Refusal.
func (g Goal) Plan() (Plan, error) {
	if err := g.check(); err != nil {
		return Plan{}, err
	}
	r := Samples(g.PM, g.Loss)
	queues := max(g.Queues, 1)
	if err := g.checkStall(r, queues); err != nil {
		return Plan{}, err
	}
	// The last of the R samples must have arrived when the deadline ends.
	period := time.Duration(float64(g.Deadline-g.Fetch) / (float64(r) * (1 + epsilon)))
	if slot := g.Fetch / time.Duration(queues); period < slot || period <= 0 {
		return Plan{}, refuse(SlowFetch, "%d samples within %v leave %v for each, one fetch takes %v on %d queue(s)",
			r, g.Deadline, period, g.Fetch, queues)
	}
	return Plan{R: r, Period: period}, nil
}

func (g Goal) check() error {
	switch {
	case g.Deadline <= 0:
		return refuse(BadGoal, "no progress sensor with a deadline")
	case !(g.PM > 0 && g.PM < 1):
		return refuse(BadGoal, "PM(T) = %g is no probability between 0 and 1", g.PM)
	case !(g.Loss >= 0 && g.Loss < 1):
		return refuse(BadGoal, "p_ml = %g is no probability from 0 to below 1", g.Loss)
	case g.RTT < 0 || g.Fetch < 0 || g.Stall < 0 || g.Queues < 0:
		return refuse(BadGoal, "negative round trip, fetch time, stall or number of queues")
	case g.Deadline/MuchGreater < g.RTT:
		return refuse(SlowPath, "a deadline of %v is not much greater than a round trip of %v (at least %d times)",
			g.Deadline, g.RTT, MuchGreater)
	case g.Fetch >= g.Deadline:
		return refuse(SlowFetch, "one fetch takes %v, the deadline is %v", g.Fetch, g.Deadline)
	}
	return nil
}

func (g Goal) checkStall(r, queues int) error {
	switch {
	case g.Stall == 0:
		return nil
	case queues == 1 && g.Deadline < g.Stall+g.Stall/2:
		return refuse(OneQueue, "a lost packet stalls the only queue for %v; a deadline of %v is below 1.5 times that",
			g.Stall, g.Deadline)
	case queues > 1 && queues < r:
		return refuse(TooFewQueues, "%d samples need a queue each, the carrier has %d", r, queues)
	}
	return nil
}
