// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"slices"
	"time"

	"lazystate/mtcp/landing"
	"lazystate/mtcp/tcprepair"
)

// begin has sessions go on: those whose clients have answered at once, the others
// when they have not. Those that somebody waits for are asked first and go on first. Its
// error is that what was read is not believed: nothing lives then, and nobody is asked any
// more.
func (r *run) begin(all []*session) (err error) {
	all = slices.Clone(all)
	owingFirst(all)
	silent, dumps := map[*tcprepair.Dump]*session{}, make([]*tcprepair.Dump, len(all))
	for i, s := range all {
		silent[s.found.Dump], dumps[i] = s, s.found.Dump
	}
	var ready []*session
	heard := func(a answer) {
		s := silent[a.dump]
		delete(silent, a.dump)
		if s.Err = a.err; s.Err == nil {
			s.Asked = true
			ready = append(ready, s)
		}
	}
	answers := r.ask(dumps)
	for err == nil {
		if len(ready) == 0 {
			a, more := <-answers
			if !more {
				break
			}
			heard(a)
		}
		for more := true; more; {
			var a answer
			select {
			case a, more = <-answers:
				if more {
					heard(a)
				}
			default:
				more = false
			}
		}
		ready, err = r.finishSome(ready)
	}
	for range answers { // whoever asks again must not hear what is for this one
	}
	rest := slices.DeleteFunc(all, func(s *session) bool { return silent[s.found.Dump] == nil })
	for err == nil && len(rest) > 0 {
		rest, err = r.finishSome(rest)
	}
	return err
}

// owingFirst puts those first that somebody waits for.
func owingFirst(all []*session) {
	slices.SortStableFunc(all, func(a, b *session) int {
		switch {
		case a.owes == b.owes:
			return 0
		case a.owes:
			return -1
		}
		return 1
	})
}

// finishSome has some of those that are ready go on, and returns the others.
func (r *run) finishSome(ready []*session) (rest []*session, err error) {
	n := batchOf(ready, r.together())
	return ready[n:], r.finish(slices.Clone(ready[:n]))
}

// batchOf puts those first that go on next, and says how many: one that somebody waits for
// does not wait for those that nobody does.
func batchOf(ready []*session, most int) int {
	owingFirst(ready)
	n := slices.IndexFunc(ready, func(s *session) bool { return !s.owes })
	if n <= 0 { // all do, or none
		n = len(ready)
	}
	return min(n, most)
}

// answer is a client's.
type answer struct {
	dump *tcprepair.Dump
	err  error // why its session is of no use
}

// ask tells who has answered; the channel is closed when nobody will any more.
func (r *run) ask(dumps []*tcprepair.Dump) <-chan answer {
	answers := make(chan answer, len(dumps))
	if r.NotAsking {
		close(answers)
		return answers
	}
	go func() {
		defer close(answers)
		if err := r.Place.Ask(dumps, r.Ask, func(d *tcprepair.Dump, err error) { answers <- answer{d, err} }); err != nil {
			r.Log.Warn("salvage: there are clients who cannot be asked", "err", err)
		}
	}()
	return answers
}

// finish has a batch go on here, once what was read is believed.
func (r *run) finish(batch []*session) error {
	batch = r.restore(batch)
	if err := r.believe(); err != nil {
		for _, s := range batch {
			err = errors.Join(err, s.plan.Drop())
		}
		return err
	}
	if len(batch) == 0 {
		return nil
	}
	r.Point("restored")
	r.entrust(batch)
	r.atOnce(batch, func(s *session) error {
		if err := s.live(r); err != nil {
			return err
		}
		s.Live = time.Since(r.began)
		return nil
	})
	return nil
}

func (r *run) entrust(all []*session) {
	if r.Entrust == nil {
		return
	}
	plans := make([]*landing.Session, len(all))
	for i, s := range all {
		plans[i] = s.plan
	}
	for i, over := range r.Entrust(plans) {
		all[i].over = over
	}
	r.Point("entrusted")
}
