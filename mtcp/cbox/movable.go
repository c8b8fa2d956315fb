// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"lazystate/mtcp"
)

// Not in x/sys: include/uapi/linux/tcp.h, since 6.7.
const tcpAOInfo = 40

// CheckMovable reports why a connection cannot be moved, as a
// NotMovableError. Create asks once; urgent data and the like may come later, so
// whoever moves asks again.
//
// Keys of TCP_MD5SIG are seen with CAP_NET_ADMIN only, and by a question that
// costs more than all others. Create leaves it to the keeper, who has to ask.
func CheckMovable(fd int) error {
	if err := CheckSocket(fd); err != nil {
		return err
	}
	return firstReason(fd, hasMD5)
}

// CheckSocket is CheckMovable without the keys of TCP_MD5SIG: what can still
// change when those have been looked for.
func CheckSocket(fd int) error {
	return firstReason(fd, notTCP, hasULP, hasAO, pending, urgent, filtered)
}

func firstReason(fd int, checks ...func(int) (Reason, error)) error {
	for _, check := range checks {
		reason, err := check(fd)
		if err != nil {
			return fmt.Errorf("can the connection be moved: %w", err)
		}
		if reason != "" {
			return &NotMovableError{reason}
		}
	}
	return nil
}

func notTCP(fd int) (Reason, error) {
	proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return "", os.NewSyscallError("SO_PROTOCOL", err)
	}
	switch proto {
	case unix.IPPROTO_TCP:
		return "", nil
	case unix.IPPROTO_MPTCP:
		return MPTCP, nil
	}
	return "", fmt.Errorf("protocol %d is not TCP", proto)
}

func hasULP(fd int) (Reason, error) {
	name, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_ULP)
	switch {
	case err == nil && name != "":
		return ULP, nil
	case err == nil || errors.Is(err, unix.ENOPROTOOPT):
		return "", nil
	}
	return "", os.NewSyscallError("TCP_ULP", err)
}

// hasAO: ENOENT says that the socket has no such keys, ENOPROTOOPT that the
// kernel has none.
func hasAO(fd int) (Reason, error) {
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, tcpAOInfo)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOPROTOOPT) {
		return "", nil
	}
	return AO, nil // keys, or a struct that is larger than what we asked for
}

func pending(fd int) (Reason, error) {
	info, err := tcpInfo(fd)
	if err != nil {
		return "", err
	}
	s := mtcp.State(info.State)
	if s == mtcp.SynRecv {
		return FastOpen, nil
	}
	if !s.Movable() {
		return "", &mtcp.StateError{State: s}
	}
	return "", nil
}

// urgent: EINVAL says that there is no urgent byte, or that it was read.
func urgent(fd int) (Reason, error) {
	var b [1]byte
	_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_OOB|unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTCONN) {
		return "", nil
	}
	if err == nil || errors.Is(err, unix.EAGAIN) {
		return Urgent, nil
	}
	return "", os.NewSyscallError("recv MSG_OOB", err)
}

// filtered: the place of a socket filter is needed to make the socket deaf.
func filtered(fd int) (Reason, error) {
	locked, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER)
	if err != nil {
		return "", os.NewSyscallError("SO_LOCK_FILTER", err)
	}
	if locked != 0 {
		return Filter, nil
	}
	n, err := filterLen(fd)
	if errors.Is(err, unix.EACCES) || n > 0 { // EACCES: an eBPF program
		return Filter, nil
	}
	if err != nil {
		return "", os.NewSyscallError("SO_GET_FILTER", err)
	}
	return "", nil
}

// hasMD5 asks the kernel's socket diagnosis, which tells it to those only who
// might set such keys.
func hasMD5(fd int) (Reason, error) {
	attrs, err := diagnose(fd)
	if err != nil {
		return "", nil // no diagnosis here: the keeper's word has to do
	}
	for len(attrs) >= 4 {
		n, kind := int(binary.NativeEndian.Uint16(attrs)), binary.NativeEndian.Uint16(attrs[2:])
		if n < 4 || n > len(attrs) {
			break
		}
		if kind == inetDiagMD5Sig {
			return MD5, nil
		}
		attrs = attrs[min(len(attrs), (n+3)&^3):]
	}
	return "", nil
}
