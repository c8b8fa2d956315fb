// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"fmt"

	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// Names of the sensors of the two case studies of §3.7.2.
const (
	SensorNProcs      = "NPROCS"
	SensorMaxProcRate = "MAXPROCRATE_PERUID"
	SensorOOM         = "OOM_KILLER_RUNNING"
	SensorNThreads    = "NTHREADS"  // a bomb may be one process; not in the dissertation
	SensorMemStall    = "MEM_STALL" // threads that wait for memory; not in the dissertation
)

// ProcRepairHealer is Proc_Repair_Healer of §3.7.2: it repairs a process table
// that a fork bomb has filled.
type ProcRepairHealer struct {
	Policy  policy.Policy // DefaultProcPolicy if nil
	Spare   policy.Spare
	Confirm Confirm
	Reaper  Reaper
}

// DefaultProcPolicy are the three basic policies; the first that accuses
// somebody decides.
func DefaultProcPolicy() policy.Policy {
	return policy.Any(
		policy.Basic{Kind: policy.PolicyTooManyProcs, Limit: 100},
		policy.Basic{Kind: policy.PolicyRateTooHigh, Limit: 50},
		policy.Basic{Kind: policy.PolicyTreeTooDeep, Limit: 64},
	)
}

func (h *ProcRepairHealer) Name() string { return "Proc_Repair_Healer" }

// Plan watches what called for the confirm window, then reads the
// process table and names the culprit.
func (h *ProcRepairHealer) Plan(ctx context.Context, in *Incident) (*Plan, error) {
	p := h.Policy
	if p == nil {
		p = DefaultProcPolicy()
	}
	plan := &Plan{Policy: p.String(), Spare: h.Spare, Watched: thresholds(in.Events)}
	if settled, err := plan.settles(ctx, in, h.Confirm); err != nil || settled {
		return plan, err
	}
	return plan, plan.diagnose(ctx, in.Patient, p)
}

func (h *ProcRepairHealer) Apply(ctx context.Context, in *Incident, p *Plan) (*Outcome, error) {
	return h.Reaper.Apply(ctx, in, p)
}

func (h *ProcRepairHealer) Verify(ctx context.Context, in *Incident, p *Plan, o *Outcome) (*Verdict, error) {
	return h.Reaper.Verify(ctx, in, p, o)
}

// diagnose fills the plan from one look at the process table.
func (p *Plan) diagnose(ctx context.Context, patient *Patient, pol policy.Policy) error {
	t, err := patient.ProcessTable(ctx)
	if err != nil {
		return err
	}
	p.policy = pol
	p.Diagnosis = policy.Diagnose(t.Table, pol, p.Spare)
	if err := p.saw(ctx, patient, t); err != nil {
		return err
	}
	if p.Needed() && p.Accused().PID != 0 {
		p.Only = []ProcessID{{p.Culprits[0].PID, p.Culprits[0].Start}}
	}
	if !p.Needed() {
		p.Why = "no user or process is above the limits of " + p.Policy
	}
	return nil
}

// saw notes what the plan was made from, and how good it was.
func (p *Plan) saw(ctx context.Context, patient *Patient, t *ProcessTable) error {
	p.Reads, p.Walk, p.Seen = t.Stats, t.Took, len(t.Processes)
	if t.Note != "" {
		p.Notes = append(p.Notes, t.Note)
	}
	if t.Torn > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d entries changed while they were read", t.Torn))
	}
	if t.Truncated {
		p.Notes = append(p.Notes, "the table is longer than the walk's bound")
	}
	return p.witness(ctx, patient, t)
}

// thresholds are the level sensors among the events, each once, with the L
// that the detector applied.
func thresholds(events []sensorbox.Event) []Threshold {
	var all []Threshold
	seen := map[string]bool{}
	for _, e := range events {
		if e.Class != sensorbox.Level || e.Sensor == "" || seen[e.Sensor] {
			continue
		}
		seen[e.Sensor] = true
		all = append(all, Threshold{Sensor: e.Sensor, Class: e.Class, Limit: e.Limit, Minimum: e.Minimum})
	}
	return all
}

// above looks at the sensors once. One that has vanished or is damaged is an
// error: nobody knows then whether the condition has settled.
func (p *Patient) above(v *sensorbox.View, watched []Threshold) (map[string]float64, error) {
	r := map[string]float64{}
	for _, t := range watched {
		s := find(v, t.Sensor)
		if s == nil {
			return nil, p.missing(v, t.Sensor)
		}
		r[t.Sensor] = ratio(s.Value, t.Limit, t.Minimum)
	}
	return r, nil
}

// missing is a sensor that a decision needs and the box does not show; what is
// damaged in the box says why.
func (p *Patient) missing(v *sensorbox.View, name string) error {
	if len(v.Defects) > 0 {
		return fmt.Errorf("target %s has no sensor %q that can be read (damaged: %v)", p.Name, name, v.Defects)
	}
	return fmt.Errorf("target %s has no sensor %q", p.Name, name)
}
