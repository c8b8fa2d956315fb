// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/internal/memfd"
	"lazystate/verbs/driver"
)

// Shared memory that is mapped to be read cannot be registered before Linux 6.2, not even to
// be read: pages were pinned to be written, whatever for (b40656aa7d55). The mapping that its
// maker writes can be, on each kernel, though nobody can map the file to write any more.
func TestReadOnlyMapping(t *testing.T) {
	const size = 8192
	d := open(t)
	pd, err := d.AllocPD()
	must(t, err)
	defer func() { must(t, d.DeallocPD(pd)) }()
	fd, own, err := memfd.Shown("test", size)
	must(t, err)
	defer unix.Close(fd)
	defer unix.Munmap(own)
	shown, err := unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(shown)
	register := func(b []byte) error {
		mr, err := d.RegMR(pd, driver.Memory{Bytes: b, FD: -1}, 0, driver.AccessRemoteRead)
		if err == nil {
			must(t, d.DeregMR(mr.MR))
		}
		return err
	}
	must(t, register(own))
	err = register(shown)
	if old := older(t, 6, 2); old != errors.Is(err, unix.EFAULT) || !old && err != nil {
		t.Errorf("mapped to be read, on a kernel before 6.2 %v: %v", old, err)
	}
}

// older is true for a kernel before a release.
func older(t *testing.T, major, minor int) bool {
	t.Helper()
	var u unix.Utsname
	must(t, unix.Uname(&u))
	var a, b int
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b)
	must(t, err)
	return a < major || a == major && b < minor
}
