// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Policy is a Basic or a combination. Only this package implements it.
type Policy interface {
	String() string
	Check() error
	evaluate(v *view) []Finding // candidates above their limits, first the worst
}

// Finding is the evidence against one user or process.
type Finding struct {
	Policy string    `json:"policy"`
	UID    uint32    `json:"uid"`
	PID    int32     `json:"pid,omitempty"` // of POLICY_MAX_RSS; 0: all of the user's
	Value  float64   `json:"value"`
	Limit  float64   `json:"limit"`
	Unit   string    `json:"unit,omitempty"`
	Parts  []Finding `json:"parts,omitempty"` // of a combination
}

func (f Finding) String() string {
	who := fmt.Sprintf("uid %d", f.UID)
	if f.PID != 0 {
		who += fmt.Sprintf(" pid %d", f.PID)
	}
	return fmt.Sprintf("%s: %s: %.4g %s, limit %.4g", f.Policy, who, f.Value, f.Unit, f.Limit)
}

func (f *Finding) subject() subject { return subject{f.UID, f.PID} }

// Basic is one of the six policies with its limit, in the unit of the kind.
// A subject at the limit is no culprit.
type Basic struct {
	Kind  Kind
	Limit float64
}

func (b Basic) String() string { return fmt.Sprintf("%s>%.4g", b.Kind, b.Limit) }

// Check refuses a limit that would accuse everybody.
func (b Basic) Check() error {
	switch {
	case b.Kind == 0 || int(b.Kind) >= len(kindNames):
		return fmt.Errorf("no such policy: %s", b.Kind)
	case !(b.Limit > 0) || math.IsInf(b.Limit, 0):
		return fmt.Errorf("%s: limit %v: want a number above 0", b.Kind, b.Limit)
	}
	return nil
}

func (b Basic) evaluate(v *view) []Finding {
	var found []Finding
	for i, s := range v.measure(b.Kind) {
		switch {
		case !(s.value > b.Limit):
			return found
		case v.mayAccuse(s.subject):
			found = append(found, Finding{Policy: b.Kind.String(), UID: s.uid, PID: s.pid, Value: s.value, Limit: b.Limit, Unit: b.Kind.unit()})
		case i == 0:
			v.notes = append(v.notes, fmt.Sprintf("%s: the largest is uid %d pid %d, which is spared: nobody is accused", b.Kind, s.uid, s.pid))
			return nil
		}
	}
	return found
}

// mayAccuse reports whether the subject has a process that may be killed.
func (v *view) mayAccuse(s subject) bool {
	if s.pid == 0 {
		return v.users[s.uid]
	}
	i, ok := v.index[s.pid]
	return ok && v.standing[i] == open
}

type combination struct {
	word  string // "and", "or"
	parts []Policy
}

// All accuses who is above the limit of every part.
func All(parts ...Policy) Policy { return combination{"and", parts} }

// Any accuses who is above the limit of some part; the worst of the first part
// that accuses anybody comes first.
func Any(parts ...Policy) Policy { return combination{"or", parts} }

func (c combination) String() string {
	names := make([]string, len(c.parts))
	for i, p := range c.parts {
		names[i] = p.String()
	}
	return "(" + strings.Join(names, " "+c.word+" ") + ")"
}

func (c combination) Check() error {
	if len(c.parts) == 0 {
		return errors.New("a combination of no policies")
	}
	for _, p := range c.parts {
		if p == nil {
			return errors.New("a combination with a nil policy")
		}
		if err := p.Check(); err != nil {
			return err
		}
	}
	return nil
}

func (c combination) evaluate(v *view) []Finding {
	lists := make([][]Finding, len(c.parts))
	for i, p := range c.parts {
		lists[i] = p.evaluate(v)
	}
	if c.word == "and" {
		return intersect(c.String(), lists)
	}
	return union(lists)
}

// intersect keeps the order of the first list. A process and its user agree
// on the process.
func intersect(name string, lists [][]Finding) []Finding {
	var found []Finding
	for _, f := range lists[0] {
		merged := Finding{Policy: name, UID: f.UID, PID: f.PID, Value: f.Value, Limit: f.Limit, Unit: f.Unit, Parts: []Finding{f}}
		for _, l := range lists[1:] {
			g, ok := agrees(merged.subject(), l)
			if !ok {
				break
			}
			merged.PID = max(merged.PID, g.PID)
			merged.Parts = append(merged.Parts, g)
		}
		if len(merged.Parts) == len(lists) {
			found = append(found, merged)
		}
	}
	return found
}

func agrees(s subject, list []Finding) (Finding, bool) {
	for _, g := range list {
		if g.UID == s.uid && (g.PID == s.pid || g.PID == 0 || s.pid == 0) {
			return g, true
		}
	}
	return Finding{}, false
}

func union(lists [][]Finding) []Finding {
	var found []Finding
	seen := map[subject]bool{}
	for _, l := range lists {
		for _, f := range l {
			if !seen[f.subject()] {
				seen[f.subject()] = true
				found = append(found, f)
			}
		}
	}
	return found
}
