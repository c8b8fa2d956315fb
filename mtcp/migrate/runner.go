// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"time"

	"lazystate/mtcp/party"
)

// machine is one of mtcp/party's.
type machine interface {
	Step(party.Event) []party.Effect
}

// runner carries out what a machine decides, one thing after another.
type runner struct {
	steps machine
	in    chan party.Event
	carry func(party.Effect) error // all but Wake and End; an error is Failed
	ended func(why string)
	point func(string) // nil, or told where it is
	timer *time.Timer
	over  bool
	gone  chan struct{} // closed when run has ended
}

func newRunner(m machine, carry func(party.Effect) error, ended func(string)) *runner {
	return &runner{steps: m, in: make(chan party.Event, 64), carry: carry, ended: ended, gone: make(chan struct{})}
}

// watch has point told of everything; before run.
func (r *runner) watch(point func(string)) { r.point = point }

// tell has the machine hear of something.
func (r *runner) tell(ctx context.Context, e party.Event) {
	if e.Kind == 0 {
		return
	}
	select {
	case r.in <- e:
	case <-r.gone: // nobody listens any more
	case <-ctx.Done():
	}
}

// mention is tell of a segment, which may get lost as any: nobody waits for a machine
// that has more to do than it can, least of all whoever reads the segments of all.
func (r *runner) mention(e party.Event) {
	select {
	case r.in <- e:
	default:
	}
}

// run ends with the machine, or with ctx.
func (r *runner) run(ctx context.Context) {
	defer close(r.gone)
	r.timer = time.NewTimer(time.Hour)
	defer r.timer.Stop()
	for !r.over {
		select {
		case e := <-r.in:
			r.step(e)
		case <-r.timer.C:
			r.step(party.Event{Kind: party.Timer})
		case <-ctx.Done():
			return
		}
	}
}

func (r *runner) carryAt(e party.Effect) error {
	if r.point == nil {
		return r.carry(e)
	}
	r.point("before " + e.String())
	err := r.carry(e)
	r.point("after " + e.String())
	return err
}

// starred effects end with Done or Failed.
func starred(d party.Do) bool {
	switch d {
	case party.Capture, party.Commit, party.Restore, party.Live, party.Begin, party.Switch, party.Follow:
		return true
	}
	return false
}

func (r *runner) step(e party.Event) {
	for _, effect := range r.steps.Step(e) {
		switch effect.Do {
		case party.Wake:
			r.timer.Reset(effect.After)
		case party.End:
			r.over = true
			r.ended(effect.Why)
		default:
			err := r.carryAt(effect)
			if !starred(effect.Do) {
				continue // what could not be said is lost, as anything may be
			}
			if err != nil {
				r.step(party.Event{Kind: party.Failed, Why: err.Error()})
			} else {
				r.step(party.Event{Kind: party.Done})
			}
		}
	}
}
