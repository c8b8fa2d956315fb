// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
)

// Diagnosis is who is to be killed and why.
type Diagnosis struct {
	Culprits []Process // all of one user, or one process; by pid
	Findings []Finding // [0] accuses the culprit; the rest were above the limit too
	Spared   []Spared  // processes of the culprit's user that are left alone
	Notes    []string  // what of the table was not believed, what was refused
}

// Spared is a process of a culprit's user that is not killed.
type Spared struct {
	PID  int32  `json:"pid"`
	Comm string `json:"comm"`
	Why  string `json:"why"`
}

// mostFindings bounds the evidence: it goes into the audit log.
const mostFindings = 8

// Diagnose applies a policy to a table. The first finding that has a living
// process to kill is the culprit; none: nobody is, and the notes may say why.
func Diagnose(t Table, p Policy, s Spare) Diagnosis {
	v := newView(t, s)
	d := Diagnosis{Findings: p.evaluate(v)}
	for i, f := range d.Findings {
		culprits, spared := v.collect(f.subject())
		if len(culprits) > 0 {
			d.Findings[0], d.Findings[i] = d.Findings[i], d.Findings[0]
			d.Culprits, d.Spared = culprits, spared
			break
		}
	}
	d.Notes = v.notes
	if n := len(d.Findings); n > mostFindings {
		d.Findings = d.Findings[:mostFindings]
		d.Notes = append(d.Notes, fmt.Sprintf("%d more above the limit", n-mostFindings))
	}
	return d
}

// Of returns the processes of an already accused user (pid 0) or process that
// may be killed now: what a repair does under the OS lock, when the table has
// changed since the diagnosis.
func Of(t Table, f Finding, s Spare) ([]Process, []Spared) {
	return newView(t, s).collect(f.subject())
}

func (v *view) collect(s subject) (culprits []Process, left []Spared) {
	for i := range v.Processes {
		p := v.Processes[i]
		switch {
		case p.UID != s.uid || s.pid != 0 && s.pid != p.PID:
		case v.standing[i] != open:
			left = append(left, Spared{p.PID, p.Comm, v.why[i]})
		case p.Alive():
			culprits = append(culprits, p)
		}
	}
	slices.SortFunc(culprits, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	slices.SortFunc(left, func(a, b Spared) int { return cmp.Compare(a.PID, b.PID) })
	return culprits, left
}
