// SPDX-License-Identifier: Apache-2.0

package mapfault

import (
	"errors"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cut maps two pages of a file and takes the second away.
func cut(t *testing.T) []byte {
	t.Helper()
	fd, err := unix.MemfdCreate("cut", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, 8192); err != nil {
		t.Fatal(err)
	}
	b, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	if err := unix.Ftruncate(fd, 4096); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAFaultIsAnError(t *testing.T) {
	b := cut(t)
	own := make([]byte, 64)
	word := (*uint64)(unsafe.Pointer(&b[4096]))
	for _, c := range []struct {
		name  string
		run   func() error
		fault bool
	}{
		{"copy out of a page that is there", func() error { return Copy(own, b[:64]) }, false},
		{"copy into it", func() error { return Copy(b[:64], own) }, false},
		{"copy out of one that is not", func() error { return Copy(own, b[4096:4160]) }, true},
		{"copy into it", func() error { return Copy(b[4096:4160], own) }, true},
		{"copy over the border", func() error { return Copy(b[4064:4128], own) }, true},
		{"atomic", func() error { return Do(func() { atomic.AddUint64(word, 1) }) }, true},
		{"compare and swap", func() error { return Do(func() { atomic.CompareAndSwapUint64(word, 0, 1) }) }, true},
	} {
		err := c.run()
		var fault *Error
		if errors.As(err, &fault) != c.fault {
			t.Errorf("%s: %v", c.name, err)
		}
		if at := uintptr(unsafe.Pointer(&b[0])) + 4096; c.fault && (fault.Addr < at || fault.Addr >= at+4096) {
			t.Errorf("%s: fault at %#x, the page is at %#x", c.name, fault.Addr, at)
		}
	}
}

func TestOtherPanicsGoOn(t *testing.T) {
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v", r)
		}
	}()
	t.Errorf("Do returned %v", Do(func() { panic("mine") }))
}

func BenchmarkCopy64(b *testing.B) {
	src, dst := make([]byte, 64), make([]byte, 64)
	for b.Loop() {
		_ = Copy(dst, src)
	}
}
