// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"maps"
	"slices"
	"time"

	"lazystate/mtcp/landing"
	"lazystate/mtcp/tcprepair"
)

// begin has sessions go on: those whose clients have answered at once, the others
// when they have not.
func (r *run) begin(all []*session) {
	waiting := map[*tcprepair.Dump]*session{}
	var dumps []*tcprepair.Dump
	for _, s := range all {
		waiting[s.found.Dump], dumps = s, append(dumps, s.found.Dump)
	}
	answers := r.ask(dumps)
	for a := range answers {
		var batch []*session
		for more := true; more; {
			s := waiting[a.dump]
			delete(waiting, a.dump)
			if s.Err = a.err; s.Err == nil {
				s.Asked = true
				batch = append(batch, s)
			}
			if len(batch) >= r.together() {
				break
			}
			select {
			case a, more = <-answers:
			default:
				more = false
			}
		}
		r.finish(batch)
	}
	rest := slices.Collect(maps.Values(waiting))
	for batch := range slices.Chunk(rest, r.together()) {
		r.finish(batch)
	}
}

// together is how many sessions go on at once: who is to keep them is asked once for
// all, but the first waits for the last.
func (r *run) together() int {
	if r.Entrust == nil {
		return 1
	}
	return 32
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
			r.Log.Warn("salvage: clients are not asked", "err", err)
		}
	}()
	return answers
}

// finish has sessions go on here. The ledger is told of each by itself: who dies in
// between has not died of one of them.
func (r *run) finish(all []*session) {
	all = slices.DeleteFunc(all, func(s *session) bool {
		r.note(s, landing.Ledger.Begin)
		s.Err = s.restore(r)
		r.note(s, landing.Ledger.End)
		return s.Err != nil
	})
	if len(all) == 0 {
		return
	}
	r.Point("restored")
	r.entrust(all)
	for _, s := range all {
		r.note(s, landing.Ledger.Begin)
		if s.Err = s.live(r); s.Err == nil {
			s.Live = time.Since(r.began)
		}
		r.note(s, landing.Ledger.End)
	}
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
