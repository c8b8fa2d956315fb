// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// report is what the tasks did together.
type report struct {
	Iterations int64   `json:"iterations"` // of a fixed amount of work
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
}

// steps is the work of one iteration: about 1 ms on a processor of today.
const steps = 400_000

// sink keeps the compiler from removing the work.
var sink atomic.Uint64

func work(cpu, tasks int, length time.Duration) (report, error) {
	if cpu >= 0 {
		if err := keepAway(cpu); err != nil {
			return report{}, err
		}
	}
	debug.SetGCPercent(-1)                                  // a collection would wait for the busy threads
	runtime.GOMAXPROCS(max(tasks+1, runtime.GOMAXPROCS(0))) // a busy thread keeps its P
	var total atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, tasks)
	start := time.Now()
	for range tasks {
		all.Go(func() {
			runtime.LockOSThread() // never unlocked: the pinned thread ends with its task
			if err := settle(cpu); err != nil {
				failed <- err
				return
			}
			total.Add(spin(start.Add(length)))
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return report{}, err
	default:
	}
	s := time.Since(start).Seconds()
	return report{Iterations: total.Load(), Seconds: s, PerSecond: float64(total.Load()) / s}, nil
}

// settle shuts the runtime's preemption signal out of this thread, and pins it.
func settle(cpu int) error {
	var urg unix.Sigset_t
	urg.Val[0] = 1 << (unix.SIGURG - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &urg, nil); err != nil {
		return fmt.Errorf("block SIGURG: %w", err)
	}
	if cpu < 0 {
		return nil
	}
	return pin(0, []int{cpu})
}

// spin iterates until end; the clock is read through the vDSO, so the task
// makes no system call.
func spin(end time.Time) (n int64) {
	x := uint64(88172645463325252)
	for ; time.Now().Before(end); n++ {
		for range steps {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
	}
	sink.Store(x)
	return n
}

// keepAway moves every thread of the process off cpu; later threads inherit it.
func keepAway(cpu int) error {
	var online unix.CPUSet
	if err := unix.SchedGetaffinity(0, &online); err != nil {
		return fmt.Errorf("read affinity: %w", err)
	}
	var others []int
	for i := range 1024 {
		if i != cpu && online.IsSet(i) {
			others = append(others, i)
		}
	}
	if len(others) == 0 || !online.IsSet(cpu) {
		return fmt.Errorf("pin to processor %d: it must be online and not the only one", cpu)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return fmt.Errorf("thread %q: %w", t.Name(), err)
		}
		if err := pin(tid, others); err != nil {
			return err
		}
	}
	return nil
}

// pin binds a thread (0: this one) to cpus.
func pin(tid int, cpus []int) error {
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("pin thread %d to %v: %w", tid, cpus, err)
	}
	return nil
}
