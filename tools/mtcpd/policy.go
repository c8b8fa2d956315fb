// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	ucli "github.com/urfave/cli/v2"

	"lazystate/mtcp/migrate"
	"lazystate/mtcp/party"
	"lazystate/mtcp/policy"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// policyFlags say when connections move by themselves (§2.6.2). All are off.
func policyFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.Float64Flag{Name: "rate-drop", Usage: "move when what comes in is this `PART` below the server's best (the paper: 0.25); for streams"},
		&ucli.DurationFlag{Name: "delay", Usage: "move when an answer has not come for this `TIME`"},
		&ucli.DurationFlag{Name: "loss", Usage: "move when nothing was acknowledged for this `TIME`, though repeated"},
		&ucli.DurationFlag{Name: "silence", Usage: "move when a stream has stopped for this `TIME`"},
		&ucli.DurationFlag{Name: "every", Value: 100 * time.Millisecond, Usage: "look at connections so often"},
		&ucli.BoolFlag{Name: "no-advice", Usage: "do not move because a server advises it"},
		&ucli.DurationFlag{Name: "patience", Value: time.Duration(party.Defaults.Tries) * party.Defaults.Retry, Usage: "stay when a server has not answered for this `TIME`"},
	}
}

func timing(c *ucli.Context) party.Timing {
	t := party.Defaults
	t.Tries = max(1, int(c.Duration("patience")/t.Retry))
	t.Holds = max(t.Holds, t.Tries)
	return t
}

// police sets an agent's policy.
func police(c *ucli.Context, a *migrate.Agent) {
	if c.Bool("no-advice") {
		a.Advice = func(steer.Flow, wire.MigrateAdvise) bool { return false }
	}
	drop, delay, loss, silence := c.Float64("rate-drop"), c.Duration("delay"), c.Duration("loss"), c.Duration("silence")
	if drop == 0 && delay == 0 && loss == 0 && silence == 0 {
		return
	}
	a.Every = c.Duration("every")
	a.Policy = func() *policy.Watch {
		w := &policy.Watch{}
		if drop > 0 {
			w.Triggers = append(w.Triggers, &policy.Rate{Drop: drop})
		}
		if delay > 0 {
			w.Triggers = append(w.Triggers, &policy.Delay{Limit: delay})
		}
		if loss > 0 {
			w.Triggers = append(w.Triggers, &policy.Loss{For: loss})
		}
		if silence > 0 {
			w.Triggers = append(w.Triggers, &policy.Silence{For: silence})
		}
		return w
	}
}
