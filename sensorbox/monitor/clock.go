// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// longestNap bounds how long the thread does not look at its context; each nap
// costs a wake-up, so it is longer than the periods that are usual.
const longestNap = 200 * time.Millisecond

// now reads the clock that sleepUntil sleeps by.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("clock_gettime(CLOCK_MONOTONIC): " + err.Error()) // cannot fail on Linux
	}
	return time.Duration(ts.Nano())
}

// sleepUntil sleeps to an absolute time: a delay in the loop or a signal
// (Go preempts by SIGURG) does not move the times to come.
func sleepUntil(ctx context.Context, at time.Duration) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := at - now()
		if left <= 0 {
			return nil
		}
		ts := unix.NsecToTimespec(int64(at - left + min(left, longestNap)))
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
		if err != nil && err != unix.EINTR {
			return err
		}
	}
}

// sharpTimers asks for wake-ups without the 50 us of slack that the kernel
// grants itself for ordinary threads. Best effort: the lateness is measured.
func sharpTimers() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// schedule is a grid of absolute times.
type schedule struct {
	period, next time.Duration
}

// advance moves to the first slot of the grid after t; slots that went by
// while this side was late are skipped, never made up for.
func (s *schedule) advance(t time.Duration) {
	s.next += s.period
	if behind := t - s.next; behind >= 0 {
		s.next += (behind/s.period + 1) * s.period
	}
}
