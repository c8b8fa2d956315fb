// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/uapi"
)

// A box in memory that backdoor.ko owns (kmod/uapi/bd_box.h) can be read when its
// kernel is dead (§3.6.2), and is a box like any other while it is alive. Where
// there is such memory, and the process may have it, boxes lie there.

// device is the module's.
const device = "/dev/backdoor"

// noSocket is for a box whose socket comes later.
const noSocket = -1

// newDeviceRegion makes the box of an open file of its own: who is given the
// file has this session and no other.
func newDeviceRegion(length int64, socket int) (Region, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return Region{}, &os.PathError{Op: "open", Path: device, Err: err}
	}
	q := uapi.IOCBox{Version: uapi.VersionMajor, Socket: int32(socket), Length: uint64(length)}
	b := q.Encode()
	if err := ioctl(fd, uapi.IoctlNewBox, b); err != nil {
		unix.Close(fd)
		return Region{}, fmt.Errorf("new box of %s: %w", device, err)
	}
	_ = q.Decode(b) // as long as it was
	return Region{newFile(fd), int64(q.Offset), length}, nil
}

func ioctl(fd int, request uint, b []byte) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(&b[0]))); errno != 0 {
		return errno
	}
	return nil
}

// Outlives reports whether the region lies in memory that outlives its kernel.
func (r Region) Outlives() bool {
	var st unix.Stat_t
	return unix.Fstat(int(r.File.Fd()), &st) == nil && isDevice(&st)
}

// isDevice reports whether a file is the module's: the number of a character
// device says whose it is, whatever its name.
func isDevice(st *unix.Stat_t) bool {
	var ours unix.Stat_t
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && unix.Stat(device, &ours) == nil &&
		ours.Mode&unix.S_IFMT == unix.S_IFCHR && ours.Rdev == st.Rdev
}

// checkDevice reports why the region is not in its file's box. The module lets
// that neither shrink nor go while somebody has the file.
func (r Region) checkDevice() error {
	q := uapi.IOCBox{Version: uapi.VersionMajor}
	b := q.Encode()
	if err := ioctl(int(r.File.Fd()), uapi.IoctlGetBox, b); err != nil {
		return fmt.Errorf("box of %s: %w", device, err)
	}
	_ = q.Decode(b)
	if from := uint64(r.Offset); from < q.Offset || from-q.Offset > q.Length || uint64(r.Length) > q.Length-(from-q.Offset) {
		return damaged("region", "%d bytes at %d, the device has %d at %d", r.Length, r.Offset, q.Length, q.Offset)
	}
	return nil
}

// bind tells the module of the socket of a box of its own. A connection that has ended
// has nothing to be salvaged.
func (r Region) bind(conn syscall.Conn) error {
	err := control(conn, func(fd int) error {
		q := uapi.IOCBoxSocket{Version: uapi.VersionMajor, Socket: int32(fd)}
		return ioctl(int(r.File.Fd()), uapi.IoctlBoxSocket, q.Encode())
	})
	if err != nil && err != unix.ENOTCONN {
		return fmt.Errorf("tell %s of the socket: %w", device, err)
	}
	return nil
}
