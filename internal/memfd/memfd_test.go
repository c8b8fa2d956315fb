// SPDX-License-Identifier: Apache-2.0

package memfd

import (
	"os"
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

func TestShown(t *testing.T) {
	fd, mem, err := Shown("test", 8192)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	defer unix.Munmap(mem)
	if b, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		_ = unix.Munmap(b)
		t.Error("others may write it")
	}
	if _, err := unix.Pwrite(fd, []byte{1}, 0); err == nil {
		t.Error("others may write it by a system call")
	}
	b, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	if mem[5000] = 7; b[5000] != 7 {
		t.Error("it is not shared")
	}
	if err := Stays(fd, 8192); err != nil {
		t.Error(err)
	}
}

func TestStays(t *testing.T) {
	open, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(open)
	if err := unix.Ftruncate(open, 4096); err != nil {
		t.Fatal(err)
	}
	short, err := Sealed("test", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(short)
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for what, fd := range map[string]int{"unsealed": open, "a file": int(file.Fd()), "closed": -1} {
		if Stays(fd, 4096) == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if Stays(short, 8192) == nil || Stays(short, 4096) != nil {
		t.Error("its size is not looked at")
	}
}
