// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Summary is what clients have seen.
type Summary struct {
	Events  []Event
	Replies int
	Bytes   int
	Took    time.Duration // from the first request to the last reply
	Mean    time.Duration // from a request to the last byte of its reply
	Worst   time.Duration
}

// Sum sums up.
func Sum(events []Event) *Summary {
	s := &Summary{Events: events}
	var first, last time.Time
	var all time.Duration
	for i := range events {
		e := &events[i]
		if first.IsZero() || e.Sent.Before(first) {
			first = e.Sent
		}
		if e.Err != nil {
			continue
		}
		if e.Done.After(last) {
			last = e.Done
		}
		took := e.Done.Sub(e.Sent)
		s.Replies, s.Bytes, s.Worst, all = s.Replies+1, s.Bytes+e.Bytes, max(s.Worst, took), all+took
	}
	if s.Replies > 0 {
		s.Took, s.Mean = last.Sub(first), all/time.Duration(s.Replies)
	}
	return s
}

// Rate is replies a second.
func (s *Summary) Rate() float64 {
	if s.Took <= 0 {
		return 0
	}
	return float64(s.Replies) / s.Took.Seconds()
}

func (s *Summary) String() string {
	return fmt.Sprintf("%d replies of %d requests, %.1f a second, %d bytes; they took %v on average, %v at most",
		s.Replies, len(s.Events), s.Rate(), s.Bytes, s.Mean.Round(time.Microsecond), s.Worst.Round(time.Microsecond))
}

// SizeOf asks the database what was there before the first request: later ids have gaps.
func SizeOf(ctx context.Context, dsn string) (n Size, err error) {
	c, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return n, err
	}
	defer c.Close(ctx)
	err = c.QueryRow(ctx, `SELECT (SELECT count(*) FROM categories), (SELECT count(*) FROM users WHERE request = ''), (SELECT count(*) FROM items WHERE request = '')`).Scan(&n.Categories, &n.Users, &n.Items)
	return n, err
}
