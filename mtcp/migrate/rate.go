// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"sync"
	"time"

	xrate "golang.org/x/time/rate"
)

// rate is how often somebody may ask for something: so often at once, and so often
// a second after that.
type rate struct{ burst, second int }

// What others may ask for. Of sessions one by one there may be thousands: who
// sends them away keeps below what is allowed, by as much as a second's delay on
// the way can make of it, so that none of them is refused.
var (
	addressRate = rate{64, 16}
	clientRate  = rate{256, 64} // far below what all of a server's clients have at S1, for its address may be forged
	sessionRate = rate{1024, 512}
	ownRate     = rate{512, 500}
)

// errTooOften is one who asks beyond a rate.
var errTooOften = errors.New("it asks too often")

// mostBuckets bounds who is told apart; the others are one.
const mostBuckets = 4096

// limiter has a bucket for each of those who ask.
type limiter struct {
	rate
	now func() time.Time

	mu      sync.Mutex
	buckets map[string]*xrate.Limiter
	refused uint64
}

func newLimiter(r rate) *limiter {
	return &limiter{rate: r, now: time.Now, buckets: map[string]*xrate.Limiter{}}
}

// allow takes a drop out of somebody's bucket.
func (l *limiter) allow(who string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bucket(who).AllowN(l.now(), 1) {
		return true
	}
	l.refused++
	return false
}

// bucket finds or makes one; mu is held.
func (l *limiter) bucket(who string) *xrate.Limiter {
	b := l.buckets[who]
	if b == nil && len(l.buckets) >= mostBuckets {
		l.forget()
	}
	if b == nil && len(l.buckets) >= mostBuckets {
		who = ""
		b = l.buckets[who]
	}
	if b == nil {
		b = xrate.NewLimiter(xrate.Limit(l.second), l.burst)
		l.buckets[who] = b
	}
	return b
}

// forget does away with full buckets, which are as good as none; mu is held.
func (l *limiter) forget() {
	for who, b := range l.buckets {
		if b.TokensAt(l.now()) == float64(l.burst) {
			delete(l.buckets, who)
		}
	}
}

// wait is allow for one who has time.
func (l *limiter) wait(ctx context.Context, who string) error {
	select {
	case <-time.After(l.due(who)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// due takes a drop that may not be there yet, and says when it will be: those who
// wait have their turns one after another.
func (l *limiter) due(who string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	return l.bucket(who).ReserveN(now, 1).DelayFrom(now)
}

// count is how many were refused.
func (l *limiter) count() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}
