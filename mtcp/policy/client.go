// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"time"
)

// Sample is what is known of a connection at one moment. Counters count from
// its beginning, whoever serves it.
type Sample struct {
	At            time.Duration // on any clock that does not go back
	Moves         int           // so far: another number is another server
	Received      uint64        // bytes
	Sent          uint64        // bytes, for the first time
	Unacked       uint64        // bytes of them
	Retransmitted uint32        // segments
}

// Trigger says why a session should move now, or "".
type Trigger interface {
	Look(s Sample) (why string)
}

// Watch is the triggers of one connection.
type Watch struct{ Triggers []Trigger }

// Look takes a sample; the first trigger that has a reason is heard, but all see it.
func (w *Watch) Look(s Sample) (why string) {
	for _, t := range w.Triggers {
		why = cmp.Or(why, t.Look(s))
	}
	return why
}

// Rate moves a session when its smoothed inbound rate has fallen under the best
// that the current server has shown:
//
//	S = Alpha*M + (1-Alpha)*S
//
// of which M is the rate since the last sample.
type Rate struct {
	Alpha float64 // 0: 1/8
	Drop  float64 // 0: 0.25
	Least float64 // a best rate below it, in bytes a second, decides nothing
	// Settle is how many samples a server has before it is judged: the first
	// ones are of TCP's beginning. 0: 8, as many as Alpha remembers.
	Settle int

	last     Sample
	n        int
	smoothed float64
	best     float64
}

const (
	defaultAlpha  = 1.0 / 8
	defaultDrop   = 0.25
	defaultSettle = 8
)

// Look takes a sample. A server that is new begins with what it shows itself.
func (r *Rate) Look(s Sample) string {
	last := r.last
	r.last = s
	if r.n == 0 || s.Moves != last.Moves || s.Received < last.Received {
		r.n, r.smoothed, r.best = 1, 0, 0
		return ""
	}
	if s.At <= last.At {
		r.last = last
		return ""
	}
	m := float64(s.Received-last.Received) / (s.At - last.At).Seconds()
	alpha := cmp.Or(r.Alpha, defaultAlpha)
	if r.n == 1 {
		r.smoothed = m
	} else {
		r.smoothed = alpha*m + (1-alpha)*r.smoothed
	}
	if r.n++; r.n <= cmp.Or(r.Settle, defaultSettle) {
		return ""
	}
	r.best = max(r.best, r.smoothed)
	if r.best < r.Least || r.smoothed >= (1-cmp.Or(r.Drop, defaultDrop))*r.best {
		return ""
	}
	return fmt.Sprintf("%.0f bytes a second, the best was %.0f", r.smoothed, r.best)
}

// Delay moves a session whose server does not answer: something was sent, and
// nothing has come since.
type Delay struct {
	Limit time.Duration

	last    Sample
	seen    bool
	waiting bool
	since   time.Duration
}

// Look takes a sample.
func (d *Delay) Look(s Sample) string {
	last, fresh := d.last, !d.seen || s.Moves != d.last.Moves
	d.last, d.seen = s, true
	switch {
	case fresh: // a server that is new has its own time to answer
		d.waiting = d.waiting || s.Sent > 0 && s.Received == 0 // a request may be older than the first look
		d.since = s.At
		return ""
	case s.Received != last.Received:
		d.waiting = s.Sent != last.Sent // it may be that this was sent after that had come
		d.since = s.At
	case !d.waiting && s.Sent != last.Sent:
		d.waiting, d.since = true, s.At
	}
	if !d.waiting || s.At-d.since < d.Limit {
		return ""
	}
	return fmt.Sprintf("no answer for %v", s.At-d.since)
}

// Loss moves a session whose server acknowledges nothing, though it was repeated.
type Loss struct {
	For     time.Duration
	Repeats uint32 // 0: 2

	since         Sample
	seen          bool
	lastDelivered uint64
}

const defaultRepeats = 2

// Look takes a sample.
func (l *Loss) Look(s Sample) string {
	delivered := s.Sent - min(s.Unacked, s.Sent)
	if !l.seen || s.Moves != l.since.Moves || s.Unacked == 0 || delivered != l.lastDelivered || s.Received != l.since.Received {
		l.since, l.seen, l.lastDelivered = s, true, delivered
		return ""
	}
	if n := s.Retransmitted - l.since.Retransmitted; s.At-l.since.At >= l.For && n >= cmp.Or(l.Repeats, defaultRepeats) {
		return fmt.Sprintf("%d bytes are not acknowledged for %v, repeated %d times", s.Unacked, s.At-l.since.At, n)
	}
	return ""
}

// Silence moves a session from whose server nothing comes any more.
type Silence struct {
	For time.Duration

	since Sample
	seen  bool
	flows bool
}

// Look takes a sample.
func (q *Silence) Look(s Sample) string {
	if !q.seen || s.Moves != q.since.Moves || s.Received != q.since.Received {
		q.flows = q.flows || q.seen && s.Received != q.since.Received
		q.since, q.seen = s, true
		return ""
	}
	if q.flows && s.At-q.since.At >= q.For {
		return fmt.Sprintf("nothing has come for %v", s.At-q.since.At)
	}
	return ""
}
