// SPDX-License-Identifier: Apache-2.0

package inic

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapping is one file of the target, mapped shared.
type mapping struct {
	file *os.File
	data []byte
}

func mapFile(path string, writable bool) (*mapping, error) {
	flag, prot := os.O_RDONLY, unix.PROT_READ
	if writable {
		flag, prot = os.O_RDWR, unix.PROT_READ|unix.PROT_WRITE
	}
	f, err := os.OpenFile(path, flag|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && (st.Size() < minFile || !st.Mode().IsRegular()) {
		err = fmt.Errorf("map %s: %d bytes, %s", path, st.Size(), st.Mode())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), prot, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &mapping{file: f, data: data}, nil
}

// minFile is less than any machine's file: a page.
const minFile = 4096

func (m *mapping) close() error {
	err := unix.Munmap(m.data)
	if e := m.file.Close(); err == nil {
		err = e
	}
	return err
}

// unlinked reports whether the file's last name is gone: its machine, too.
func (m *mapping) unlinked() bool {
	var st unix.Stat_t
	return unix.Fstat(int(m.file.Fd()), &st) != nil || st.Nlink == 0
}

// FaultError is a page of the mapping that the file no longer has.
type FaultError struct {
	Offset uint64
	Cause  string
}

func (e *FaultError) Error() string { return fmt.Sprintf("file offset %#x: %s", e.Offset, e.Cause) }

// guarded runs fn with memory faults turned into an error: a file that was cut
// while mapped answers with SIGBUS.
func guarded(off uint64, fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(interface {
				error
				Addr() uintptr
			})
			if !ok {
				panic(r)
			}
			err = &FaultError{off, fault.Error()}
		}
	}()
	fn()
	return nil
}

// load copies out of the mapping; an aligned word is one load, so that a value
// which the target stores whole is never read in halves.
func (m *mapping) load(off uint64, buf []byte) error {
	src := m.data[off : off+uint64(len(buf))]
	return guarded(off, func() {
		switch {
		case len(buf) == 8 && off%8 == 0:
			v := atomic.LoadUint64((*uint64)(unsafe.Pointer(&src[0])))
			*(*[8]byte)(buf) = *(*[8]byte)(unsafe.Pointer(&v))
		case len(buf) == 4 && off%4 == 0:
			v := atomic.LoadUint32((*uint32)(unsafe.Pointer(&src[0])))
			*(*[4]byte)(buf) = *(*[4]byte)(unsafe.Pointer(&v))
		default:
			copy(buf, src)
		}
	})
}

// store copies into the mapping. x86 keeps the order of stores, and the atomic
// store of a commit word keeps the compiler from moving the body behind it.
func (m *mapping) store(off uint64, buf []byte) error {
	dst := m.data[off : off+uint64(len(buf))]
	return guarded(off, func() {
		switch {
		case len(buf) == 8 && off%8 == 0:
			var v uint64
			*(*[8]byte)(unsafe.Pointer(&v)) = *(*[8]byte)(buf)
			atomic.StoreUint64((*uint64)(unsafe.Pointer(&dst[0])), v)
		case len(buf) == 4 && off%4 == 0:
			var v uint32
			*(*[4]byte)(unsafe.Pointer(&v)) = *(*[4]byte)(buf)
			atomic.StoreUint32((*uint32)(unsafe.Pointer(&dst[0])), v)
		default:
			copy(dst, buf)
		}
	})
}

// update runs a LOCKed instruction on an aligned word and returns the old value.
func (m *mapping) update(off uint64, fn func(*uint64) uint64) (old uint64, err error) {
	word := m.data[off : off+8]
	err = guarded(off, func() { old = fn((*uint64)(unsafe.Pointer(&word[0]))) })
	return old, err
}
