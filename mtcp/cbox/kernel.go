// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
)

// Counters asks the kernel what it has counted of a TCP socket. It needs no
// privilege and no help of the process that used the socket, so it is exact
// after a SIGKILL at any instruction. While segments arrive the numbers are
// read again until two readings agree.
func Counters(fd int) (mtcp.Counters, error) {
	before, err := tcpInfo(fd)
	if err != nil {
		return mtcp.Counters{}, err
	}
	for range 10000 {
		in, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return mtcp.Counters{}, os.NewSyscallError("SIOCINQ", err)
		}
		out, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil {
			return mtcp.Counters{}, os.NewSyscallError("SIOCOUTQ", err)
		}
		after, err := tcpInfo(fd)
		if err != nil {
			return mtcp.Counters{}, err
		}
		if before.State == after.State && before.Bytes_received == after.Bytes_received && before.Bytes_acked == after.Bytes_acked {
			c := mtcp.Counters{State: mtcp.State(after.State), Received: after.Bytes_received, Unread: uint32(in), Acked: after.Bytes_acked, Unacked: uint32(out)}
			if c.State == mtcp.Close {
				c.Whole, err = isWhole(fd)
			}
			return c, err
		}
		before = after
	}
	return mtcp.Counters{}, fmt.Errorf("socket counters: no two readings agree")
}

// tcpInfo asks for as much as the kernel has: unix.GetsockoptTCPInfo wants all
// of its own struct.
func tcpInfo(fd int) (*unix.TCPInfo, error) {
	var info unix.TCPInfo
	n := uint32(unix.SizeofTCPInfo)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return nil, os.NewSyscallError("TCP_INFO", e)
	}
	if uintptr(n) < unsafe.Offsetof(info.Bytes_received)+8 {
		return nil, fmt.Errorf("TCP_INFO: %d bytes, this kernel is too old", n)
	}
	return &info, nil
}

// offsets returns the positions of whoever used fd, by the kernel's counters
// and the box's bases.
func offsets(fd int, readBase, writeBase uint64) (read, written uint64, err error) {
	c, err := Counters(fd)
	if err != nil {
		return 0, 0, err
	}
	if read, written, err = c.Offsets(); err != nil {
		return 0, 0, err
	}
	return read + readBase, written + writeBase, nil
}

// control runs f on the connection's descriptor.
func control(conn syscall.Conn, f func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
