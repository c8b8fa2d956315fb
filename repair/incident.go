// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// decide writes a decision to the audit log before it is carried out. Without
// a log there is no repair.
func (in *Incident) decide(step string, data any) error {
	if err := in.append(step, true, data, nil); err != nil {
		return fmt.Errorf("refused to %s what cannot be logged: %w", step, err)
	}
	return nil
}

// note writes what happened. A log that fails here is found by the next
// decision, and said at once.
func (in *Incident) note(step string, data any, happened error) {
	if err := in.append(step, false, data, happened); err != nil {
		in.Patient.log().Error("audit log", "target", in.Patient.Name, "step", step, "err", err)
	}
}

func (in *Incident) append(step string, decided bool, data any, happened error) error {
	p := in.Patient
	r := Record{
		Time: time.Now(), Target: p.Name, Boot: p.Target.BootID().String(), Incident: in.ID,
		Healer: in.healer, Step: step, Decided: decided, Data: data,
	}
	level := p.log().Info
	args := []any{"target", p.Name, "healer", in.healer, "incident", in.ID}
	if happened != nil {
		r.Error = happened.Error()
		level, args = p.log().Warn, append(args, "err", happened)
	}
	level(step, args...)
	if p.Audit == nil {
		return errNoAudit
	}
	return p.Audit.Append(r)
}

// evidence is what called for a healer: of each kind and sensor the first
// event, and how often it came again. A target that crosses a limit at every
// sample gets no more room in the log than one that crosses it once.
func evidence(events []sensorbox.Event) []string {
	type of struct {
		kind   sensorbox.Kind
		sensor string
	}
	again := map[of]int{}
	for _, e := range events {
		again[of{e.Kind, e.Sensor}]++
	}
	var all []string
	for _, e := range events {
		switch n := again[of{e.Kind, e.Sensor}]; n {
		case 0:
			continue
		case 1:
			all = append(all, e.String())
		default:
			all = append(all, fmt.Sprintf("%s, and %d times more", e, n-1))
		}
		again[of{e.Kind, e.Sensor}] = 0
	}
	return all
}

// named is a process in the evidence.
type named struct {
	PID       int32         `json:"pid"`
	PPID      int32         `json:"ppid"`
	UID       uint32        `json:"uid"`
	Comm      string        `json:"comm"`
	Start     time.Duration `json:"start_ns"`
	Footprint uint64        `json:"footprint"`
}

func names(procs []policy.Process) []named {
	all := make([]named, len(procs))
	for i := range procs {
		p := &procs[i]
		all[i] = named{p.PID, p.PPID, p.UID, fmt.Sprintf("%q", p.Comm), p.Start, p.Footprint()}
	}
	return all
}

// summary counts results by their name; each pid that is not done is listed.
func summary(results []backdoor.KillResult) map[string]any {
	counts, others := map[string]int{}, map[uint32]string{}
	for _, r := range results {
		name := uapi.ResultName(r.Result)
		counts[name]++
		if r.Result != uapi.ResDone {
			others[r.PID] = name
		}
	}
	return map[string]any{"posted": len(results), "counts": counts, "not_done": others}
}

// where says how each CPU was caught.
func where(v *backdoor.LockView) []string {
	var all []string
	for _, c := range v.CPUs {
		all = append(all, uapi.CPUWhereName(c.Where))
	}
	return all
}
