// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

const (
	beatEvery = 100 * time.Millisecond
	beatLimit = 2 * time.Second // L: user space that does not run for so long is sick
	psiMemory = "/proc/pressure/memory"
	psiEvery  = time.Second

	heartID = 1
	stallID = 2
)

// heart is the user-space heartbeat and the memory stall, both user sensors.
type heart struct {
	beats, stall *atomic.Uint64
}

// newHeart makes the sensors and this process hard to stop: its memory is
// locked, and the thread that beats is real-time, so that the heartbeat tells of
// a machine that cannot schedule, not of one that is merely busy. (That ordinary
// user space starves, it does not show.)
func newHeart(d *device) (*heart, error) {
	h := &heart{}
	var err error
	h.beats, err = d.newSensor(heartID, uapi.Progress, uapi.SensorHeartbeat, uint64(beatLimit/time.Microsecond), "HEARTBEAT", "beats")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(psiMemory); err == nil {
		if h.stall, err = d.newSensor(stallID, uapi.Level, 0, 0, "MEM_PSI", "us/s"); err != nil {
			return nil, err
		}
	}
	if err := unix.Mlockall(unix.MCL_CURRENT); err != nil {
		return nil, fmt.Errorf("lock memory: %w", err)
	}
	return h, nil
}

// beat runs on one thread until ctx ends. It sleeps in the kernel: the runtime's
// timers are served by threads of the ordinary class, and a beat that waits for
// one of those is no real-time beat.
func (h *heart) beat(ctx context.Context) error {
	runtime.LockOSThread()
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("real-time class: %w", err)
	}
	meter, looked := stallMeter{}, time.Time{}
	for ctx.Err() == nil {
		h.beats.Add(1)
		if h.stall != nil && time.Since(looked) >= psiEvery {
			looked = time.Now()
			if total, ok := readStall(); ok {
				meter.look(total, looked, h.stall.Store)
			}
		}
		pause := unix.NsecToTimespec(int64(beatEvery))
		if err := unix.Nanosleep(&pause, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("sleep: %w", err)
		}
	}
	return nil
}

// stallMeter makes a rate of the kernel's total.
type stallMeter struct {
	total uint64 // us
	at    time.Time
}

// look tells the rate since the last look, in us a second, if there was one.
func (m *stallMeter) look(total uint64, now time.Time, tell func(uint64)) {
	if span := now.Sub(m.at).Seconds(); !m.at.IsZero() && span > 0 && total >= m.total {
		tell(uint64(float64(total-m.total) / span))
	}
	m.total, m.at = total, now
}

// readStall returns the microseconds for which all tasks waited for memory. It
// may fail just when memory is short: then the last rate stands.
func readStall() (us uint64, ok bool) {
	b, err := os.ReadFile(psiMemory)
	if err != nil {
		return 0, false
	}
	return parseStall(b)
}

func parseStall(b []byte) (us uint64, ok bool) {
	for _, line := range bytes.Split(b, []byte("\n")) {
		_, total, found := bytes.Cut(line, []byte("total="))
		if found && bytes.HasPrefix(line, []byte("full ")) {
			us, err := strconv.ParseUint(string(bytes.TrimSpace(total)), 10, 64)
			return us, err == nil
		}
	}
	return 0, false
}
