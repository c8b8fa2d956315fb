// SPDX-License-Identifier: Apache-2.0

package futex

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sysFutexWaitv = 449 // not in x/sys; asm-generic/unistd.h
	futexWait     = 0   // FUTEX_WAIT
	futexWake     = 1   // FUTEX_WAKE
	futex2U32     = 2   // FUTEX2_SIZE_U32, not private: other processes wake us
)

// waiter is struct futex_waitv.
type waiter struct {
	val   uint64
	addr  uint64
	flags uint32
	_     uint32
}

// Wait sleeps until a word no longer has its value, or for d at most.
func Wait(word *atomic.Uint32, seen uint32, d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(seen), uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// WaitEither sleeps until one of two words no longer has its value, or for d at
// most.
func WaitEither(a *atomic.Uint32, seenA uint32, b *atomic.Uint32, seenB uint32, d time.Duration) {
	w := [2]waiter{
		{uint64(seenA), uint64(uintptr(unsafe.Pointer(a))), futex2U32, 0},
		{uint64(seenB), uint64(uintptr(unsafe.Pointer(b))), futex2U32, 0},
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	until := unix.NsecToTimespec(now.Nano() + int64(d))
	_, _, e := unix.Syscall6(sysFutexWaitv, uintptr(unsafe.Pointer(&w)), 2, 0, uintptr(unsafe.Pointer(&until)), unix.CLOCK_MONOTONIC, 0)
	if e == unix.ENOSYS || e == unix.EPERM { // a sandbox that does not know the call
		Wait(a, seenA, min(d, time.Millisecond))
	}
}

// Wake wakes all that sleep on a word.
func Wake(word *atomic.Uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, math.MaxInt32, 0, 0, 0)
}
