// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Term is one part of a weighted policy.
type Term struct {
	Weight float64
	Basic
}

type weighted struct {
	limit float64
	terms []Term
}

// Weighted accuses users whose sum of weight x (measure / limit), each quotient
// cut at 2, is above limit: several middling signs together. POLICY_MAX_RSS
// names processes, not users, and cannot be a term.
func Weighted(limit float64, terms ...Term) Policy { return weighted{limit, terms} }

// mostQuotient keeps one term from deciding alone by an absurd measure.
const mostQuotient = 2

func (w weighted) String() string {
	names := make([]string, len(w.terms))
	for i, t := range w.terms {
		names[i] = fmt.Sprintf("%.4g*%s", t.Weight, t.Basic)
	}
	return fmt.Sprintf("(%s > %.4g)", strings.Join(names, " + "), w.limit)
}

func (w weighted) Check() error {
	if len(w.terms) == 0 || !(w.limit > 0) {
		return errors.New("a weighted policy needs terms and a limit above 0")
	}
	for _, t := range w.terms {
		if err := t.Check(); err != nil {
			return err
		}
		if !(t.Weight > 0) || t.Kind == PolicyMaxRSS {
			return fmt.Errorf("weighted %s: weight %v", t.Basic, t.Weight)
		}
	}
	return nil
}

func (w weighted) evaluate(v *view) []Finding {
	sums := map[uint32]*Finding{}
	for _, t := range w.terms {
		for _, s := range v.measure(t.Kind) {
			f := sums[s.uid]
			if f == nil {
				f = &Finding{Policy: w.String(), UID: s.uid, Limit: w.limit, Unit: "weighted"}
				sums[s.uid] = f
			}
			f.Value += t.Weight * min(s.value/t.Limit, mostQuotient)
			f.Parts = append(f.Parts, Finding{Policy: t.Kind.String(), UID: s.uid, Value: s.value, Limit: t.Limit, Unit: t.Kind.unit()})
		}
	}
	var found []Finding
	for _, f := range sums {
		if f.Value > w.limit && v.mayAccuse(f.subject()) {
			found = append(found, *f)
		}
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.UID, b.UID))
	})
	return found
}
