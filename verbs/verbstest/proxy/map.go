// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mapper makes page frames of the other machine visible here, one behind the other.
type Mapper func(frames []uint64) ([]byte, error)

// MapFile maps a file that is the other machine's memory from address 0 on, as
// that of a guest of less than 2 GiB is.
func MapFile(path string) Mapper {
	return func(frames []uint64) ([]byte, error) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		b, err := mapFrames(int(f.Fd()), frames)
		if err != nil {
			return nil, fmt.Errorf("map %d pages of the guest: %w", len(frames), err)
		}
		return b, nil
	}
}

// mapFrames reserves a range and lays each run of frames over its part.
func mapFrames(fd int, frames []uint64) ([]byte, error) {
	page := uintptr(os.Getpagesize())
	size := uintptr(len(frames)) * page
	base, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(frames); {
		n := 1
		for i+n < len(frames) && frames[i+n] == frames[i]+uint64(n) {
			n++
		}
		at := unsafe.Add(base, uintptr(i)*page)
		_, err := unix.MmapPtr(fd, int64(frames[i])*int64(page), at, uintptr(n)*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			unix.MunmapPtr(base, size)
			return nil, err
		}
		i += n
	}
	return unsafe.Slice((*byte)(base), size), nil
}

func unmap(b []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(cap(b)))
}
