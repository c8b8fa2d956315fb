// SPDX-License-Identifier: Apache-2.0

package pager

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Mode is how writes are found.
type Mode uint8

const (
	Sync Mode = iota
	Async
)

func (m Mode) String() string { return [...]string{"sync", "async"}[m] }

// ParseMode understands what String returns.
func ParseMode(s string) (Mode, error) {
	for _, m := range []Mode{Sync, Async} {
		if m.String() == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("%q is no way to find writes: sync, async", s)
}

// ErrNotSupported is a kernel that cannot watch a region: it is older than 6.1, or
// has no userfaultfd.
var ErrNotSupported = errors.New("this kernel cannot watch shared memory (Linux 6.1 with userfaultfd is needed)")

// need are the features of a mode.
func (m Mode) need() uint64 {
	f := uint64(featureWP | featureShmem | featureThread | featureWPShmem)
	if m == Async {
		f |= featureWPAsync
	}
	return f
}

// Probe returns the best mode of this kernel. The device is /dev/userfaultfd, or -1.
func Probe(device int) (Mode, error) {
	u, err := open(device)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	defer unix.Close(int(u))
	have, err := u.handshake(0)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrNotSupported, err)
	case have&Async.need() == Async.need() && canScan():
		return Async, nil
	case have&Sync.need() == Sync.need():
		return Sync, nil
	}
	return 0, fmt.Errorf("%w: features %#x", ErrNotSupported, have)
}

// Device opens /dev/userfaultfd for programs, or returns -1: they make theirs
// without, for their own accesses alone.
func Device() int {
	fd, err := unix.Open("/dev/userfaultfd", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

const (
	uffdIocNew       = 0xaa00
	uffdUserModeOnly = 1
)

func open(device int) (uffd, error) {
	nr, args := uintptr(unix.SYS_USERFAULTFD), [3]uintptr{unix.O_CLOEXEC | uffdUserModeOnly}
	if device >= 0 {
		nr, args = unix.SYS_IOCTL, [3]uintptr{uintptr(device), uffdIocNew, unix.O_CLOEXEC}
	}
	fd, _, e := unix.Syscall(nr, args[0], args[1], args[2])
	if e != 0 {
		return -1, fmt.Errorf("userfaultfd: %w", e)
	}
	return uffd(fd), nil
}

// canScan is true if /proc/self/pagemap knows PAGEMAP_SCAN.
func canScan() bool {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return false
	}
	defer f.Close()
	s := scanner{fd: int(f.Fd())}
	return s.scan(0, 0, func(uint64, uint64) {}) == nil
}
