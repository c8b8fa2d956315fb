// SPDX-License-Identifier: Apache-2.0

package memfd

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSealed(t *testing.T) {
	fd, err := Sealed("test", 8192)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, size := range []int64{0, 4096, 16384} {
		if err := unix.Ftruncate(fd, size); err != unix.EPERM {
			t.Errorf("cut to %d: %v", size, err)
		}
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != unix.EPERM {
		t.Errorf("one more seal: %v", err)
	}
	b, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	if b[8191]++; b[0] != 0 || b[8191] != 1 {
		t.Error("it is not zeros, or not writable")
	}
}

func TestNoSuchSize(t *testing.T) {
	if fd, err := Sealed("test", -1); err == nil {
		t.Errorf("%d", fd)
	}
}
