// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"lazystate/bench/guest"
)

// canarySensor is what bdcanary, as root, counts in.
const canarySensor = "0/CANARY"

// detection is what a monitor made of a fault.
type detection struct {
	after  time.Duration // 0: nothing was announced that is right
	kind   string
	wrong  int // announced before the fault, or false of it
	detail string
}

// judge reads what was announced before the fault and from it on, until the
// carriers began to act on the target.
func judge(r *row, before, after []guest.Sign, struck time.Time) detection {
	d := detection{wrong: len(before)}
	for _, s := range before {
		d.detail += "before: " + s.Text + "; "
	}
	for _, s := range after {
		switch {
		case slices.Contains(r.wrong, s.Kind):
			d.wrong++
			d.detail += "false: " + s.Text + "; "
		case d.after == 0 && slices.Contains(r.right, s.Kind):
			d.after, d.kind = s.At.Sub(struck), s.Kind.String()
			d.detail += s.Text + "; "
		}
	}
	return d
}
