// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"lazystate/backdoor"
	"lazystate/internal/sampling"
	"lazystate/sensorbox"
)

// Options of a Monitor.
type Options struct {
	Open func(context.Context) (backdoor.Memory, error)

	// Sink is given every event by the sampling goroutine; it must not block.
	Sink func(*backdoor.Target, sensorbox.Event)
	// Opened is told each machine that is watched from now on; may be nil.
	Opened func(*backdoor.Target)
	// Fetched is told how long each answered read took; may be nil.
	Fetched func(time.Duration)
	Log     *slog.Logger // nil: none

	Detector sensorbox.Config // its NeedsCPU and Period are set by the monitor
	Period   time.Duration    // 0: the longest that the sampling plan allows
	PM       float64          // PM(T), 1e-6 if 0
	Loss     float64          // p_ml of the path
	Stall    time.Duration    // ack timeout of the carrier's ordered queues; 0: as it says
	Queues   int              // that the carrier spreads reads over; 0: as it says

	Retry time.Duration // between attempts to open a target; 1 s if 0
	Probe time.Duration // between probes of this side of the path; 200 ms if 0

	// Link is a probe of this side of the path beside the carrier's own; may be nil.
	Link backdoor.Prober
}

const (
	defaultPM     = 1e-6
	defaultPeriod = 100 * time.Millisecond // of a box without deadlines
	shortest      = 200 * time.Microsecond
)

func (o Options) withDefaults() Options {
	if o.PM == 0 {
		o.PM = defaultPM
	}
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	if o.Probe == 0 {
		o.Probe = 200 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// over fills in what a carrier says of its queues.
func (o Options) over(c backdoor.Caps) Options {
	if o.Stall == 0 {
		o.Stall = c.Stall
	}
	if o.Queues == 0 {
		o.Queues = c.Queues
	}
	return o
}

// plan chooses the period for a view of the target, or refuses (§3.4.2).
func (o Options) plan(v *sensorbox.View, rtt, fetch time.Duration) (sampling.Plan, error) {
	g := sampling.Goal{
		Deadline: o.Detector.LeastDeadline(v), PM: o.PM, Loss: o.Loss,
		RTT: rtt, Fetch: fetch, Stall: o.Stall, Queues: o.Queues,
	}
	if g.Deadline == 0 { // levels and pressure only: no promise to keep
		return sampling.Plan{R: 1, Period: max(o.Period, min(defaultPeriod, o.orDefault()))}, nil
	}
	p, err := g.Plan()
	if err != nil {
		return p, err
	}
	if o.Period > p.Period {
		return p, &sampling.Refusal{Reason: sampling.BadGoal, Why: "a period of " + o.Period.String() +
			" is longer than the plan's " + p.Period.String() + " for a deadline of " + g.Deadline.String()}
	}
	if o.Period > 0 {
		p.Period = o.Period
	}
	p.Period = max(p.Period, shortest)
	return p, nil
}

// hopeless reports a refusal that no target and no path can cure: the same goal
// with a deadline of a day and an instant path is refused too.
func (o Options) hopeless(err error) bool {
	var refused *sampling.Refusal
	if !errors.As(err, &refused) || refused.Reason != sampling.BadGoal {
		return false
	}
	easy := sampling.Goal{Deadline: 24 * time.Hour, PM: o.PM, Loss: o.Loss, Stall: o.Stall, Queues: o.Queues}
	_, still := easy.Plan()
	return errors.As(still, &refused) && refused.Reason == sampling.BadGoal
}

func (o Options) orDefault() time.Duration {
	if o.Period > 0 {
		return o.Period
	}
	return defaultPeriod
}
