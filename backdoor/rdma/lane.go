// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"fmt"
	"slices"
	"sync"

	"lazystate/backdoor"
	"lazystate/verbs"
)

// depth is how many work requests a queue pair holds.
const depth = 128

// lane is one queue pair's place: what is posted on it, and what waits for it.
// The queue pair in it may be replaced.
type lane struct {
	m      *Memory
	index  int
	ring   ring
	inline int // bytes that go in the work request itself

	mu      sync.Mutex
	qp      *verbs.QP // nil: not connected
	session *session  // of qp
	why     error     // while not connected: why; nil: an attempt is being made
	life    uint32    // counts queue pairs; in the ids of work requests
	seq     uint32    // counts work requests
	queue   []*job    // the first may be posted in part
	flight  []part    // posted, in order
	wrs     []verbs.SendWR
}

// A work request's id: 8 bits of lane, 24 of life, 32 of seq.
func (l *lane) id(seq uint32) uint64 {
	return uint64(l.index)<<56 | uint64(l.life&0xffffff)<<32 | uint64(seq)
}

// load is how much is ahead of a new job; up tells whether there is a queue pair.
func (l *lane) load() (n int, up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) + len(l.flight), l.qp != nil
}

// add posts a job, or keeps it until there is a queue pair. Where none can be
// had it ends at once.
func (l *lane) add(j *job) {
	l.mu.Lock()
	if l.qp == nil && l.why != nil {
		j.finish(l.why)
		l.mu.Unlock()
		j.b.Complete()
		return
	}
	l.queue = append(l.queue, j)
	ended := l.pump(nil)
	l.mu.Unlock()
	complete(ended)
}

func complete(jobs []*job) {
	for _, j := range jobs {
		j.b.Complete()
	}
}

// pump posts what there is room for, in as few calls as the queue allows. It
// appends the jobs that ended by it.
func (l *lane) pump(ended []*job) []*job {
	for l.qp != nil && len(l.queue) > 0 {
		wrs := l.wrs[:0]
		for len(l.queue) > 0 && len(l.flight) < depth {
			j := l.queue[0]
			if !l.session.open && j.to != l.session.self {
				break // until the table is there
			}
			if err := j.resolve(l.session); err != nil {
				j.finish(err)
				ended, l.queue = append(ended, j), l.queue[1:]
				continue
			}
			wrs = wrs[:len(wrs)+1]
			if !l.build(j, &wrs[len(wrs)-1]) {
				wrs = wrs[:len(wrs)-1]
				break
			}
			if j.posted() {
				wrs[len(wrs)-1].Flags |= verbs.SendSignaled
				l.queue = l.queue[1:]
			}
		}
		if len(wrs) == 0 {
			break
		}
		// A slot of the queue is free once a later signaled request completed.
		wrs[len(wrs)-1].Flags |= verbs.SendSignaled
		if _, err := l.qp.PostSend(wrs...); err != nil {
			// What was not taken is in flight here all the same: its jobs wait nowhere else.
			return l.broken(ended, nil, fmt.Errorf("%w: %w", errLost, err))
		}
	}
	return ended
}

// build makes the job's next work request, and takes it for posted.
func (l *lane) build(j *job, wr *verbs.SendWR) bool {
	p, ok := l.request(j, wr)
	if !ok {
		return false
	}
	p.seq = l.seq
	l.seq++
	wr.ID = l.id(p.seq)
	j.advance(p)
	l.flight = append(l.flight, p)
	return true
}

// completed takes a completion: all work requests up to it have completed, too.
func (l *lane) completed(wc *verbs.WC, ended []*job) []*job {
	if uint32(wc.ID>>32)&0xffffff != l.life&0xffffff || l.qp == nil {
		return ended // of a queue pair that was
	}
	last := uint32(wc.ID)
	n := slices.IndexFunc(l.flight, func(p part) bool { return p.seq == last })
	if n < 0 {
		return ended
	}
	if wc.Status == verbs.WCSuccess {
		n++
	}
	for i := range l.flight[:n] {
		p := &l.flight[i]
		if l.arrived(p) {
			p.j.finish(nil)
			ended = append(ended, p.j)
		}
		l.ring.give(p.cost)
	}
	l.flight = slices.Delete(l.flight, 0, n)
	if wc.Status == verbs.WCSuccess {
		return l.pump(ended)
	}
	if wc.Status == verbs.WCWRFlushErr {
		return l.broken(ended, nil, errLost)
	}
	p := &l.flight[0]
	return l.broken(ended, p.j, opError(&p.j.b.Ops[p.op], p.j.where(p.op), wc))
}

// broken ends a queue pair that failed. The guilty job ends with err. Of the
// others, those whose work requests were on their way are posted again if the
// target refused before it came to them; else nobody knows, and they end too.
func (l *lane) broken(ended []*job, guilty *job, err error) []*job {
	_, refused := err.(*backdoor.AccessError)
	var flown []*job
	for i := range l.flight {
		if j := l.flight[i].j; len(flown) == 0 || flown[len(flown)-1] != j {
			flown = append(flown, j)
		}
	}
	waiting := l.queue
	if len(flown) > 0 && len(waiting) > 0 && flown[len(flown)-1] == waiting[0] {
		waiting = waiting[1:] // it was posted in part
	}
	l.queue = nil
	for _, j := range flown {
		switch {
		case j == guilty:
			j.finish(err)
			ended = append(ended, j)
		case refused:
			j.again()
			l.queue = append(l.queue, j)
		default:
			j.finish(errLost)
			ended = append(ended, j)
		}
	}
	l.queue = append(l.queue, waiting...)
	l.m.mend(l.drop(nil))
	return ended
}

// drop takes the queue pair out of the lane. why is what new jobs end with; nil:
// they wait.
func (l *lane) drop(why error) *verbs.QP {
	qp := l.qp
	l.qp, l.session, l.why = nil, nil, why
	l.life++
	l.flight = l.flight[:0]
	l.ring.reset()
	return qp
}

// connected puts a queue pair into the lane and posts first, if there is one, and
// then what waited for it.
func (l *lane) connected(qp *verbs.QP, s *session, first *job) {
	l.mu.Lock()
	l.qp, l.session, l.why = qp, s, nil
	l.inline = min(qp.Cap().MaxInline, mostInline)
	if first != nil {
		l.queue = slices.Insert(l.queue, 0, first)
	}
	ended := l.pump(nil)
	l.mu.Unlock()
	complete(ended)
}

// ready lets jobs through that waited for the session's table.
func (l *lane) ready(s *session) {
	l.mu.Lock()
	s.open = true
	ended := l.pump(nil)
	l.mu.Unlock()
	complete(ended)
}

// lose takes a queue pair that the peer ended out of the lane; nil: whichever is
// in it. What was on its way ends, what waits goes on waiting.
func (l *lane) lose(qp *verbs.QP) {
	l.mu.Lock()
	var ended []*job
	if l.qp != nil && (qp == nil || l.qp == qp) {
		ended = l.broken(nil, nil, errLost)
	}
	l.mu.Unlock()
	complete(ended)
}

// abandon ends all jobs with err, and takes the queue pair out. Until the next
// connected new jobs end with why at once, or wait if it is nil.
func (l *lane) abandon(err, why error) *verbs.QP {
	l.mu.Lock()
	var ended []*job
	for i := range l.flight {
		if j := l.flight[i].j; !slices.Contains(ended, j) {
			ended = append(ended, j)
		}
	}
	for _, j := range l.queue {
		if !slices.Contains(ended, j) {
			ended = append(ended, j)
		}
	}
	for _, j := range ended {
		j.finish(err)
	}
	l.queue = nil
	qp := l.drop(why)
	l.mu.Unlock()
	complete(ended)
	return qp
}
