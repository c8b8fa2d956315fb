// SPDX-License-Identifier: Apache-2.0

package unixsock

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rights returns the descriptors of a message's control data, which become the
// caller's; net's ReadMsgUnix has made them close-on-exec. Control data of another
// kind, which nobody has asked for, is an error, and leaves none open.
func Rights(oob []byte) (fds []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("control data of a message: %w", err)
	}
	for i := range msgs {
		some, bad := unix.ParseUnixRights(&msgs[i])
		fds, err = append(fds, some...), errors.Join(err, bad)
	}
	if err != nil { // also those behind what is of another kind
		Close(fds)
		return nil, fmt.Errorf("control data of a message: %w", err)
	}
	return fds, nil
}

// Close closes descriptors.
func Close(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// Peer returns who connected, or listened, at the other end, as the kernel noted then.
func Peer(c syscall.Conn) (cred *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, inner); err != nil {
		return nil, fmt.Errorf("credentials of the peer: %w", err)
	}
	return cred, nil
}
