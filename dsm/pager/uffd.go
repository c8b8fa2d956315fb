// SPDX-License-Identifier: Apache-2.0

package pager

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linux/userfaultfd.h
const (
	uffdioAPI          = 0xc018aa3f
	uffdioRegister     = 0xc020aa00
	uffdioWake         = 0x8010aa02
	uffdioCopy         = 0xc028aa03
	uffdioWriteprotect = 0xc018aa06

	uffdAPI = 0xaa

	featureWP        = 1 << 0  // UFFD_FEATURE_PAGEFAULT_FLAG_WP
	featureShmem     = 1 << 5  // UFFD_FEATURE_MISSING_SHMEM
	featureThread    = 1 << 8  // UFFD_FEATURE_THREAD_ID
	featureWPShmem   = 1 << 12 // UFFD_FEATURE_WP_HUGETLBFS_SHMEM
	featureWPAsync   = 1 << 15 // UFFD_FEATURE_WP_ASYNC
	registerMissing  = 1 << 0
	registerWP       = 1 << 1
	copyDontWake     = 1 << 0 // UFFDIO_COPY_MODE_DONTWAKE
	copyWP           = 1 << 1 // UFFDIO_COPY_MODE_WP
	protectWP        = 1 << 0 // UFFDIO_WRITEPROTECT_MODE_WP
	protectDontWake  = 1 << 1 // UFFDIO_WRITEPROTECT_MODE_DONTWAKE: not with that
	eventPagefault   = 0x12
	faultWrite       = 1 << 0
	faultWP          = 1 << 1
	msgSize          = 32
	pagemapScan      = 0xc0606610 // PAGEMAP_SCAN, linux/fs.h
	scanWPMatching   = 1 << 0
	scanCheckWPAsync = 1 << 1
	pageWritten      = 1 << 1
)

// uffd is a userfaultfd of another process.
type uffd int

func (u uffd) ioctl(what string, cmd uintptr, arg unsafe.Pointer) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(u), cmd, uintptr(arg)); e != 0 {
		return fmt.Errorf("%s: %w", what, e)
	}
	return nil
}

// handshake asks for features, and returns those that there are.
func (u uffd) handshake(features uint64) (uint64, error) {
	arg := struct{ api, features, ioctls uint64 }{uffdAPI, features, 0}
	err := u.ioctl("UFFDIO_API", uffdioAPI, unsafe.Pointer(&arg))
	return arg.features, err
}

func (u uffd) register(start, length uint64) error {
	arg := struct{ start, length, mode, ioctls uint64 }{start, length, registerMissing | registerWP, 0}
	return u.ioctl("UFFDIO_REGISTER", uffdioRegister, unsafe.Pointer(&arg))
}

// copy puts a page in place.
func (u uffd) copy(dst uint64, page []byte, mode uint64) error {
	arg := struct {
		dst, src, length, mode uint64
		copied                 int64
	}{dst, uint64(uintptr(unsafe.Pointer(&page[0]))), uint64(len(page)), mode, 0}
	return u.ioctl("UFFDIO_COPY", uffdioCopy, unsafe.Pointer(&arg))
}

// protect write-protects a range, or not any more.
func (u uffd) protect(start, length, mode uint64) error {
	arg := struct{ start, length, mode uint64 }{start, length, mode}
	return u.ioctl("UFFDIO_WRITEPROTECT", uffdioWriteprotect, unsafe.Pointer(&arg))
}

func (u uffd) wake(start, length uint64) error {
	arg := struct{ start, length uint64 }{start, length}
	return u.ioctl("UFFDIO_WAKE", uffdioWake, unsafe.Pointer(&arg))
}

// message is a page fault.
type message struct {
	addr   uint64
	write  bool
	thread uint32
}

func parseMessage(b []byte) (message, error) {
	if len(b) != msgSize {
		return message{}, fmt.Errorf("a message of %d bytes from a userfaultfd", len(b))
	}
	if b[0] != eventPagefault {
		return message{}, fmt.Errorf("event %#x from a userfaultfd", b[0])
	}
	return message{
		addr:   binary.NativeEndian.Uint64(b[16:]),
		write:  binary.NativeEndian.Uint64(b[8:])&(faultWrite|faultWP) != 0,
		thread: binary.NativeEndian.Uint32(b[24:]),
	}, nil
}
