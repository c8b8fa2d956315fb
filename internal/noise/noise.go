// SPDX-License-Identifier: Apache-2.0

package noise

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Every is how often the same may be logged once its burst is used up.
const Every = time.Minute

// most bounds the things that are told apart; what comes beyond them is one.
const most = 256

// Handler passes on of each thing a burst of records, and then one a minute
// with the number of those left out before it ("left_out"). Loggers that come
// from one Handler by With share its bound.
type Handler struct {
	next  slog.Handler
	about string // what With and WithGroup have added
	*limit
}

// New returns a handler in front of next.
func New(next slog.Handler, burst int) *Handler {
	return &Handler{next: next, limit: &limit{burst: float64(burst), said: map[string]*said{}}}
}

func (h *Handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	about := h.about
	for _, a := range attrs {
		about += a.String() + " "
	}
	return &Handler{h.next.WithAttrs(attrs), about, h.limit}
}

func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.next.WithGroup(name), h.about + name + ".", h.limit}
}

func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	left, ok := h.take(h.about+r.Message, r, h.next)
	if !ok {
		return nil
	}
	return pass(ctx, h.next, r, left)
}

func pass(ctx context.Context, next slog.Handler, r slog.Record, left uint64) error {
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("left_out", left))
	}
	return next.Handle(ctx, r)
}

// Flush passes on what was left out last of each thing that may be logged
// again: a log must not end with how things were before.
func (h *Handler) Flush(now time.Time) error {
	var errs []error
	for _, s := range h.due(now) {
		errs = append(errs, pass(context.Background(), s.next, s.last, s.left-1))
	}
	return errors.Join(errs...)
}

type limit struct {
	burst float64

	mu   sync.Mutex
	said map[string]*said
}

// said is what has been said of one thing: a bucket that fills by one drop a minute.
type said struct {
	drops float64
	at    time.Time
	left  uint64       // left out since the last that was passed on
	last  slog.Record  // of those
	next  slog.Handler // that it was meant for
}

// refill is guarded against a wall clock that was set back.
func (s *said) refill(now time.Time, burst float64) {
	s.drops = min(burst, s.drops+max(now.Sub(s.at), 0).Minutes())
	s.at = now
}

// take takes a drop of a thing's bucket, and says how many were left out before.
func (l *limit) take(about string, r slog.Record, next slog.Handler) (left uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(about, r.Time)
	s.refill(r.Time, l.burst)
	if s.drops < 1 {
		s.left, s.last, s.next = s.left+1, r.Clone(), next
		return 0, false
	}
	left, s.left = s.left, 0
	s.drops--
	return left, true
}

// find returns a thing's bucket. Where there is no room for another it forgets
// those that are full, and else takes the one bucket of all the others: who can
// change his name must not speak more for it.
func (l *limit) find(about string, now time.Time) *said {
	if l.said[about] == nil && len(l.said) >= most {
		l.forget(now)
		if len(l.said) >= most {
			about = ""
		}
	}
	if l.said[about] == nil {
		l.said[about] = &said{drops: l.burst, at: now}
	}
	return l.said[about]
}

func (l *limit) forget(now time.Time) {
	for about, s := range l.said {
		if s.refill(now, l.burst); s.drops >= l.burst && s.left == 0 {
			delete(l.said, about)
		}
	}
}

// due takes what was left out of the things that have a drop again.
func (l *limit) due(now time.Time) []said {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []said
	for _, s := range l.said {
		if s.refill(now, l.burst); s.left > 0 && s.drops >= 1 {
			all = append(all, *s)
			s.drops, s.left, s.last, s.next = s.drops-1, 0, slog.Record{}, nil
		}
	}
	return all
}
