// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"fmt"
	"time"

	"lazystate/internal/pause"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// verifyLooks is how many good looks in a row prove a repair.
const verifyLooks = 4

// othersLooks is how many bad looks in a row, with somebody else above the
// limits, end the wait: the second of two bombs is not cured by waiting.
const othersLooks = 2 * verifyLooks

// Verify looks until the killed are gone and the sensors that called are at L
// again, several times in a row.
func (r *Reaper) Verify(ctx context.Context, in *Incident, p *Plan, o *Outcome) (*Verdict, error) {
	c := r.withDefaults()
	end := time.Now().Add(c.Within)
	quiet := map[string]uint64{}
	good, others := 0, 0
	for {
		v, err := examine(ctx, in.Patient, p, o, quiet)
		if err != nil {
			return v, err
		}
		if v.Healed {
			good++
		} else {
			good = 0
		}
		if v.another {
			others++
		} else {
			others = 0
		}
		if good == verifyLooks || others >= othersLooks && good == 0 || time.Now().After(end) {
			v.Healed = good == verifyLooks
			return v, nil
		}
		if err := pause.For(ctx, c.Every); err != nil {
			return v, err
		}
	}
}

// examine is one look. quiet holds the pressure counters of the last one:
// pressure is over when they stand still.
func examine(ctx context.Context, patient *Patient, p *Plan, o *Outcome, quiet map[string]uint64) (*Verdict, error) {
	v := &Verdict{}
	t, err := patient.ProcessTable(ctx)
	if err != nil {
		return v, err
	}
	v.countLeft(t, p, o)
	v.another = p.accusesAnother(t)
	box, err := patient.Sensors(ctx)
	if err != nil {
		return v, err
	}
	for i := range p.Watched {
		w := &p.Watched[i]
		s := find(box, w.Sensor)
		if s == nil {
			v.Above = append(v.Above, w.Sensor+" is missing")
			continue
		}
		last, seen := quiet[w.Sensor]
		quiet[w.Sensor] = s.Value
		switch {
		case w.Class == sensorbox.Pressure && (!seen || s.Value != last):
			v.Above = append(v.Above, fmt.Sprintf("%s still rises: %d", w.Sensor, s.Value))
		case w.Class == sensorbox.Level && ratio(s.Value, w.Limit, w.Minimum) > 1:
			v.Above = append(v.Above, fmt.Sprintf("%s %d, limit %d", w.Sensor, s.Value, w.Limit))
		}
	}
	v.judge(o)
	return v, nil
}

// countLeft finds the killed that still live, and what the accused has started since.
func (v *Verdict) countLeft(t *ProcessTable, p *Plan, o *Outcome) {
	killed := map[ProcessID]bool{}
	newest := time.Duration(0)
	for _, id := range o.KilledIDs {
		killed[id] = true
		newest = max(newest, id.Start)
	}
	now, _ := policy.Of(t.Table, policy.Finding{UID: p.Accused().UID}, p.Spare)
	for _, c := range now {
		switch {
		case killed[ProcessID{c.PID, c.Start}]:
			v.Left++
		case len(killed) > 0 && c.Start > newest:
			v.Respawned++
		}
	}
}

// accusesAnother reports whether the plan's policy now names somebody else.
func (p *Plan) accusesAnother(t *ProcessTable) bool {
	if p.policy == nil {
		return false
	}
	d := policy.Diagnose(t.Table, p.policy, p.Spare)
	if len(d.Culprits) == 0 {
		return false
	}
	now, then := d.Findings[0], p.Accused()
	return now.UID != then.UID || now.PID != then.PID
}

func (v *Verdict) judge(o *Outcome) {
	switch {
	case v.Left > 0:
		v.Why = fmt.Sprintf("%d processes were killed and are still there", v.Left)
	case len(v.Above) > 0:
		v.Why = fmt.Sprintf("beyond the limit: %q", v.Above)
	case len(o.Refused) > 0:
		v.Why = fmt.Sprintf("the target refused %d kills: %v", len(o.Refused), o.Refused[0].Err())
	default:
		v.Healed = true
		if v.Respawned > 0 {
			v.Why = fmt.Sprintf("the user has %d new processes", v.Respawned)
		}
	}
}
