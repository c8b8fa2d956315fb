// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/internal/ready"
)

// isWhole is mtcp.Counters' Whole, of a socket in CLOSE. Its kernel knows that the
// peer's FIN has come (SOCK_DONE), and says so only by two counts of what is unread
// that differ: SIOCINQ leaves the FIN off, read or not (net/ipv4/tcp.c, tcp_inq), and
// TCP_INQ counts it in both cases (tcp_inq_hint). read(2) says the same of a reset, once
// its error was told. Nothing is consumed: neither the error nor a byte.
func isWhole(fd int) (bool, error) {
	events, err := ready.Now(uintptr(fd), 0)
	if err != nil || events&unix.POLLERR != 0 {
		return false, err
	}
	for range 10000 { // a process may be reading
		before, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return false, os.NewSyscallError("SIOCINQ", err)
		}
		with, known, err := unreadWithFin(fd)
		if err != nil || !known {
			return false, err
		}
		after, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return false, os.NewSyscallError("SIOCINQ", err)
		}
		if before == after {
			return with == before+1, nil
		}
	}
	return false, nil
}

// unreadWithFin is what TCP_INQ counts; not known of a socket that cannot be read.
// The option stays set: another who asks must not find it taken back.
func unreadWithFin(fd int) (n int, known bool, err error) {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_INQ, 1); err != nil {
		return 0, false, os.NewSyscallError("TCP_INQ", err)
	}
	b, oob := make([]byte, 1), make([]byte, 256) // the process may have asked for more
	var oobn int
	if _, err = ignoringEINTR(func() (n int, err error) {
		n, oobn, _, _, err = unix.Recvmsg(fd, b, oob, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return n, err
	}); err != nil {
		return 0, false, nil // an error that came, or TCP_REPAIR: it is no process's to read
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return 0, false, err
	}
	for _, m := range msgs {
		if m.Header.Level == unix.IPPROTO_TCP && m.Header.Type == unix.TCP_CM_INQ && len(m.Data) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(m.Data))), true, nil
		}
	}
	return 0, false, nil
}
