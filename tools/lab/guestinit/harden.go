// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	initPriority = 20       // below the kernel's own FIFO threads (50)
	spareThreads = 24       // more than the handlers that may block at once
	spareHeap    = 12 << 20 // touched in advance
	collectAbove = 6 << 20  // half of it: garbage is collected from here on
)

type schedParam struct{ priority int32 }

func setScheduler(policy, priority int) error {
	p := schedParam{int32(priority)}
	_, _, e := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy), uintptr(unsafe.Pointer(&p)))
	if e != 0 {
		return e
	}
	return nil
}

func setFIFO(priority int) error { return setScheduler(unix.SCHED_FIFO, priority) }

// harden takes everything init will ever need while there is plenty of it.
func harden() {
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(math.MaxInt64)
	touchHeap()
	startThreads()
	// MCL_ONFAULT: the runtime maps 64 MiB arenas it may never use.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		complain("mlockall", err)
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0); err != nil {
		complain("oom_score_adj", err)
	}
}

// touchHeap faults pages in and frees them to the runtime, which keeps them:
// its scavenger has no goal while the GC percentage is off.
func touchHeap() {
	b := make([]byte, spareHeap)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	runtime.KeepAlive(b)
	runtime.GC()
}

// startThreads makes the runtime own idle threads: it never ends them, and a
// runtime that cannot start one when it must ends the process, hence the kernel.
func startThreads() {
	var up, done sync.WaitGroup
	up.Add(spareThreads)
	for range spareThreads {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			up.Done()
			up.Wait()
		})
	}
	done.Wait()
}

var heapUse = []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
var heapMu sync.Mutex

// collect runs the garbage collector when half of the touched heap is in use.
func collect() {
	heapMu.Lock()
	defer heapMu.Unlock()
	metrics.Read(heapUse)
	if heapUse[0].Value.Uint64() > collectAbove {
		runtime.GC()
	}
}
