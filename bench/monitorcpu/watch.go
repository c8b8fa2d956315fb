// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
	"lazystate/sensorbox/monitor"
)

// usage of this process between two moments.
type usage struct {
	samples uint64
	cpu     time.Duration
	wakes   int64 // of any of its threads: what does not depend on how busy the host is
	took    time.Duration
}

// meter measures from begin to end.
type meter struct {
	began time.Time
	cpu   time.Duration
	wakes int64
}

func begin() meter {
	cpu, wakes := used()
	return meter{time.Now(), cpu, wakes}
}

func (m meter) end(samples uint64) usage {
	cpu, wakes := used()
	return usage{samples, cpu - m.cpu, wakes - m.wakes, time.Since(m.began)}
}

// every watches as bdmon does, with a period.
func every(period time.Duration) watch {
	return func(ctx context.Context, _ *backdoor.Target, open opener, window time.Duration) (usage, error) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		opened := make(chan struct{}, 1)
		events := make(chan sensorbox.Event, 1)
		m := monitor.New(monitor.Options{
			Open: open, Period: period,
			Opened: func(*backdoor.Target) { opened <- struct{}{} },
			Sink: func(_ *backdoor.Target, ev sensorbox.Event) {
				select {
				case events <- ev:
				default:
				}
			},
		})
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		select {
		case <-opened:
		case err := <-done:
			return usage{}, errors.Join(err, errors.New("the monitor never watched"))
		}
		meter, before := begin(), m.Status().Samples
		select {
		case <-time.After(window):
		case ev := <-events:
			return usage{}, fmt.Errorf("a healthy target: %s", ev)
		case err := <-done:
			return usage{}, errors.Join(err, ctx.Err())
		}
		u := meter.end(m.Status().Samples - before)
		stop()
		return u, <-done
	}
}

// freeRunning fetches the box and asks the detector in an infinite loop.
func freeRunning(ctx context.Context, t *backdoor.Target, _ opener, window time.Duration) (u usage, err error) {
	r, err := t.Region(uapi.KindSensorbox)
	if err != nil {
		return u, err
	}
	var view sensorbox.View
	box := make([]byte, r.Len)
	read := []backdoor.Op{r.Read(0, box)}
	det := sensorbox.NewDetector(sensorbox.Config{Period: time.Millisecond})
	var events []sensorbox.Event
	meter, n := begin(), uint64(0)
	for start := meter.began; time.Since(start) < window && ctx.Err() == nil; n++ {
		from := time.Since(start)
		if err := t.Do(ctx, read...); err != nil {
			return u, err
		}
		if err := view.Decode(box, nil); err != nil {
			return u, err
		}
		in := sensorbox.Input{Start: from, End: time.Since(start), Outcome: sensorbox.Answered, View: &view}
		if events = det.Step(in, events[:0]); len(events) > 0 {
			return u, fmt.Errorf("a healthy target: %s", events[0])
		}
	}
	return meter.end(n), ctx.Err()
}

// waking is a locked thread that sleeps to absolute times and does nothing: the
// plain way to keep a period in Go, which costs two threads' wake-ups.
func waking(period time.Duration) watch {
	return func(ctx context.Context, _ *backdoor.Target, _ opener, window time.Duration) (usage, error) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return usage{}, err
		}
		meter, n := begin(), uint64(0)
		for next := ts.Nano(); time.Since(meter.began) < window && ctx.Err() == nil; n++ {
			next += period.Nanoseconds()
			ts = unix.NsecToTimespec(next)
			if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil); err != nil && err != unix.EINTR {
				return usage{}, err
			}
		}
		return meter.end(n), ctx.Err()
	}
}

// used is the CPU time of this process, in user space and in the kernel, and
// how often its threads have gone to sleep.
func used() (cpu time.Duration, sleeps int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage: " + err.Error()) // cannot fail for RUSAGE_SELF
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Nvcsw
}
