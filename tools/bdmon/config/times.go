// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lazystate/repair"
	"lazystate/sensorbox"
)

// Options are those of the target's dispatcher, as the file has them.
func (r *Repair) Options() repair.Options {
	return repair.Options{Coalesce: time.Duration(r.Coalesce), CoolDown: time.Duration(r.CoolDown), Attempts: r.Attempts, Bound: time.Duration(r.Bound)}
}

// ResetOptions are those of its last resort.
func (r *Repair) ResetOptions() repair.ResetOptions {
	return repair.ResetOptions{Confirm: time.Duration(r.Reset.Confirm), CoolDown: time.Duration(r.Reset.CoolDown), Bound: time.Duration(r.Reset.Bound)}
}

// checkTimes refuses times that keep what they are for from ever happening. None of
// them delays the detection, which has the deadlines of the sensors alone; from there
// on a healer is called after coalesce, and acts after its confirm.
func (t *Target) checkTimes() error {
	o, reset := t.Repair.Options().WithDefaults(), t.Repair.ResetOptions().WithDefaults()
	for i := range t.Healers {
		h := &t.Healers[i]
		if confirm := h.confirms(); confirm >= o.Bound {
			return at(fmt.Sprintf(".healers[%d]", i), fmt.Errorf("it acts when a condition has lasted for its confirm, %v, and is broken off after repair.bound, %v: it would never act", confirm, o.Bound))
		}
		if bool(t.Reset) && h.calledAtTheEnd() && reset.Confirm <= o.Coalesce {
			return at(".repair", fmt.Errorf("reset.confirm, %v, is not longer than coalesce, %v: the machine would be reset before healers[%d] is called", reset.Confirm, o.Coalesce, i))
		}
	}
	return nil
}

// confirms is how long a condition must last before the healer acts.
func (h *Healer) confirms() time.Duration { return cmp.Or(time.Duration(h.Confirm), defaultConfirm) }

// calledAtTheEnd reports whether it is for machines that may be reset.
func (h *Healer) calledAtTheEnd() bool {
	return slices.ContainsFunc([]sensorbox.Kind{sensorbox.Failed, sensorbox.Panicked}, func(k sensorbox.Kind) bool {
		return slices.Contains(h.Sensors, k.String())
	})
}
