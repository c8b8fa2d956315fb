// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"slices"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
	"lazystate/mtcp/steer"
)

// SetAsideError is a session that nobody goes on with any more: what a machine, or
// the process that makes sessions live, dies of when it does (§3.6.3).
type SetAsideError struct{ Why string }

func (e *SetAsideError) Error() string { return "set aside: " + e.Why }

// onTrial is for how long a session must have lived until it is believed to do no harm.
const onTrial = time.Second

// mostBatches bounds how long the last session waits that is tried again; holds last
// for several times as long.
const mostBatches = 60

// judge finds those that may be what killed the machine, or this process before. A
// session that was alone on trial is not tried any more. Of several, one may be the
// killer and the others are not: each is tried once more, and if that is the death of
// a machine again, no more. So nothing kills a third one.
func (r *run) judge() {
	suspects := 0
	for _, s := range r.sessions {
		if s.trial != 0 && !s.Here {
			suspects++
		}
	}
	for _, s := range r.live() {
		if why := r.verdict(s, suspects); why != "" {
			s.Err = &SetAsideError{why} // noted when it is reported: what was read may not be believed yet
		}
	}
}

// verdict says why a session is set aside; "": it goes on, though it may be the last.
func (r *run) verdict(s *session, suspects int) (why string) {
	deaths := 0
	if r.Ledger != nil {
		if why = r.Ledger.Aside(s.ID); why != "" {
			return why
		}
		deaths = r.Ledger.Deaths(s.ID)
	}
	switch {
	case s.trial == uapi.CboxTrialAgain:
		return "two machines have died since they went on with it, the second when it was tried again"
	case s.trial != 0 && suspects == 1:
		return "a machine has died when it went on with it, and with nothing else"
	case deaths > 1:
		return "who makes sessions live has died of it twice"
	case s.trial != 0:
		s.Notes = append(s.Notes, "it was on trial at the machine that has died: tried once more, after the others")
	case deaths > 0:
		s.Notes = append(s.Notes, "who made it live has died of it: tried once more, after the others")
	}
	s.again = s.trial != 0 || deaths > 0
	return ""
}

// order says who goes on at once, and who after that: those that have nothing to
// repeat together, each of the others by itself.
func (r *run) order() (first []*session, again [][]*session) {
	var resting, busy []*session
	for _, s := range r.live() {
		switch {
		case !s.again:
			first = append(first, s)
		case s.resting():
			resting = append(resting, s)
		default:
			busy = append(busy, s)
		}
	}
	if len(resting) > 0 {
		again = append(again, resting)
	}
	return first, slices.AppendSeq(again, slices.Chunk(busy, 1+len(busy)/mostBatches))
}

// resting reports whether nothing has happened since the last snapshots.
func (s *session) resting() bool {
	im := s.facts.Image
	n := len(im.Log) + len(im.Held)
	for _, ring := range im.Rings {
		n += len(ring.Data)
	}
	return n == 0 && s.facts.Written == im.Root().LSW
}

// again has those go on that were on trial already, a batch when nobody is any more:
// should this machine die, it is known of what.
func (r *run) again(batches [][]*session, first []*session) {
	for _, batch := range batches {
		r.acquit(r.ctx, first)
		for _, s := range batch { // it has waited for some time
			if err := r.Gate.Hold(s.flow, holdIn, HoldLimit); err != nil {
				r.Log.Warn("salvage: the hold of a session that is tried again", "client", s.Remote, "err", err)
			}
		}
		if err := r.begin(batch); err != nil { // it is believed by now, and that alone may fail
			r.Log.Error("salvage: sessions that are tried again", "err", err)
		}
		first = batch
	}
}

// acquit ends the trials of sessions as they get over what they repeat, or when they
// have lived for long enough. Until then the death of this machine is taken for theirs.
func (r *run) acquit(ctx context.Context, all []*session) {
	all = slices.DeleteFunc(slices.Clone(all), func(s *session) bool { return s.Err != nil || s.Here })
	over := func(s *session) bool {
		if r.Keeper.OnTrial(s.ID) {
			return false
		}
		r.Keeper.Acquit(s.ID) // who reads the box need not look at its snapshots
		return true
	}
	for end := time.Now().Add(r.Trial); time.Now().Before(end); {
		if all = slices.DeleteFunc(all, over); len(all) == 0 || pause.For(ctx, trialLooks) != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, s := range all {
		r.Keeper.Acquit(s.ID)
	}
	r.acquitHere()
}

// acquitHere ends the trials of those that another try, which did not come to its end,
// has left here: nobody else would.
func (r *run) acquitHere() {
	here := map[steer.Flow]bool{}
	for _, s := range r.sessions {
		here[s.flow] = s.Here
	}
	for _, k := range r.Keeper.Sessions() {
		if here[steer.Flow{Local: k.Local, Remote: k.Remote}] {
			r.Keeper.Acquit(k.ID)
		}
	}
}

// trialLooks is between two looks whether a trial is over.
const trialLooks = 20 * time.Millisecond
