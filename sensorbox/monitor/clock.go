// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// began is when CLOCK_MONOTONIC was about 0, so that the times of a monitor
// can be told from "never".
var began = func() time.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("clock_gettime(CLOCK_MONOTONIC): " + err.Error()) // cannot fail on Linux
	}
	return time.Now().Add(-time.Duration(ts.Nano()))
}()

// now reads the monotonic clock without a system call.
func now() time.Duration { return time.Since(began) }

// alarm lets one goroutine sleep to absolute times. It sleeps in the runtime's
// poller on a timerfd, which has neither a thread's timer slack nor the
// milliseconds to which the runtime rounds its own timers.
//
// A thread that sleeps in the kernel itself costs more than its sample. Its
// return from the system call wakes sysmon, the runtime's watchdog (exitsyscall
// in runtime/proc.go), and sysmon takes a goroutine that has slept so for one
// that has run all the time (retake, schedwhen): a sample that is still being
// taken when it looks is preempted, and a locked thread then handed on and back
// through others. So no step of an ordinary sample is a system call that the
// runtime is told of: timerfd_settime is a raw one, now is none.
type alarm struct {
	ctx  context.Context
	file *os.File
	conn syscall.RawConn
	stop func() bool           // ends the watch over ctx
	due  func(fd uintptr) bool // made once, for a sleep allocates nothing
	at   time.Duration
	err  error
}

// newAlarm returns an alarm whose sleeps end when ctx does.
func newAlarm(ctx context.Context) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timerfd: %w", err)
	}
	a := &alarm{ctx: ctx, file: os.NewFile(uintptr(fd), "timerfd")}
	a.due = a.isDue
	if a.conn, err = a.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, a.file.Close())
	}
	a.stop = context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }) // a closed one has nobody to wake
	return a, nil
}

func (a *alarm) close() {
	a.stop()
	_ = a.file.Close()
}

// sleepUntil sleeps to an absolute time: a delay in the loop does not move the
// times to come.
func (a *alarm) sleepUntil(at time.Duration) error {
	a.at, a.err = at, nil
	err := a.conn.Read(a.due)
	if a.ctx.Err() != nil {
		return a.ctx.Err()
	}
	return errors.Join(err, a.err)
}

// isDue reports that the time has come; else it sets the timer for what is
// left. Setting it forgets that it was ever due, so it is never read.
func (a *alarm) isDue(fd uintptr) bool {
	left := a.at - now()
	if left <= 0 {
		return true
	}
	timer := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(left))}
	a.err = unix.TimerfdSettime(int(fd), 0, &timer, nil)
	return a.err != nil
}

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
