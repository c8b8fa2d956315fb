// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"slices"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
	"lazystate/mtcp/extract"
)

// Over a carrier that needs a CPU of the target (rxe) its fence leaves one running, which
// has the machine's timers and softirqs, and now and then a process that has not stopped.

var errStirs = errors.New("processes of the target run on the CPU that its fence spares")

// readings is how often memory is read, if something has changed it each time.
const readings = 4

// unheard is how long that CPU may answer nothing: it is all that is left of its machine,
// and does the others' work while they hang. A carrier gives up long before.
const unheard = 5 * time.Second

// heard has something asked again that the spared CPU has not answered.
func (r *run) heard(ask func() error) error {
	for end := time.Now().Add(unheard); ; {
		err := ask()
		if !r.spares || !errors.Is(err, backdoor.ErrUnanswered) || time.Now().After(end) {
			return err
		}
		r.Log.Warn("salvage: the CPU that the fence spares does not answer; asking again", "err", err)
		if err := pause.For(r.ctx, wakes); err != nil {
			return err
		}
	}
}

// stirs is how long processes may run on the CPU that a fence spares, before nobody waits
// any more for them to stop.
const stirs = 5 * time.Second

// still waits until none does, where a CPU is spared, and notes since when. That CPU may be
// too busy to answer for a while.
func (r *run) still() error {
	for end := time.Now().Add(stirs); ; {
		v, err := r.Target.LockView(r.ctx)
		switch {
		case err == nil && (v.State != uapi.LockFenced || v.Free.Empty()):
			r.spares, r.since = !v.Parked.Empty(), v.Since
			return nil
		case err == nil:
			err = errStirs
		case !errors.Is(err, backdoor.ErrTorn) && !errors.Is(err, backdoor.ErrUnanswered):
			return err
		}
		if time.Now().After(end) {
			return err
		}
		if err := pause.For(r.ctx, wakes); err != nil {
			return err
		}
	}
}

// settle reads those sockets again that make no sense where a CPU runs on: their timers
// send there, and what that sends has it send more, without any process.
func (r *run) settle(all []*session) error {
	for tries := 1; r.spares && tries < readings; tries++ {
		if all = slices.DeleteFunc(slices.Clone(all), (*session).settled); len(all) == 0 {
			return nil
		}
		r.Log.Warn("salvage: sockets have changed while they were read; reading them again", "sockets", len(all))
		if err := pause.For(r.ctx, wakes); err != nil {
			return err
		}
		for _, s := range all {
			s.unread()
		}
		if err := r.extract(all); err != nil {
			return err
		}
	}
	return nil
}

// settled reports whether its socket agrees with itself, or never will.
func (s *session) settled() bool {
	if lost := (*extract.LostError)(nil); errors.As(s.Err, &lost) {
		return lost.Reason != extract.Damaged && lost.Reason != extract.Torn && lost.Reason != extract.Unreadable
	}
	return s.found == nil || len(s.found.Holes) == 0
}
