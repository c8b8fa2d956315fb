// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"math"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sysFutexWaitv = 449 // not in x/sys; asm-generic/unistd.h
	futexWaitBit  = 0   // FUTEX_WAIT
	futexWakeBit  = 1   // FUTEX_WAKE
	futex2U32     = 2   // FUTEX2_SIZE_U32, not private: other processes wake us
)

// secondLook bounds every sleep: whoever should wake us may have been killed
// between what it did and the call that says so.
const secondLook = 50 * time.Millisecond

// waiter is struct futex_waitv.
type waiter struct {
	val   uint64
	addr  uint64
	flags uint32
	_     uint32
}

// sleep waits until one of two words no longer has its value, or for d at most.
// Wake-ups without cause are the rule; the caller looks again.
func (m memory) sleep(off uint64, seen uint32, off2 uint64, seen2 uint32, d time.Duration) {
	d = min(d, secondLook)
	w := [2]waiter{
		{uint64(seen), uint64(uintptr(unsafe.Pointer(&m[off]))), futex2U32, 0},
		{uint64(seen2), uint64(uintptr(unsafe.Pointer(&m[off2]))), futex2U32, 0},
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	until := unix.NsecToTimespec(now.Nano() + int64(d))
	_, _, e := unix.Syscall6(sysFutexWaitv, uintptr(unsafe.Pointer(&w)), 2, 0, uintptr(unsafe.Pointer(&until)), unix.CLOCK_MONOTONIC, 0)
	if e != unix.ENOSYS && e != unix.EPERM { // a sandbox that does not know the call
		return
	}
	short := unix.NsecToTimespec(int64(min(d, time.Millisecond)))
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&m[off])), futexWaitBit, uintptr(seen), uintptr(unsafe.Pointer(&short)), 0, 0)
}

// wake wakes all that sleep on a word.
func (m memory) wake(off uint64) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&m[off])), futexWakeBit, math.MaxInt32, 0, 0, 0)
}
