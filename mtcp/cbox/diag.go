// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Not in x/sys: include/uapi/linux/sock_diag.h, inet_diag.h.
const (
	sockDiagByFamily = 20
	inetDiagInfo     = 2
	inetDiagMD5Sig   = 18
	diagReqLen       = 56 // struct inet_diag_req_v2
	diagMsgLen       = 72 // struct inet_diag_msg
)

// filterLen returns the number of instructions of a classic socket filter.
// SO_GET_FILTER counts in those, not in bytes.
func filterLen(fd int) (int, error) {
	n := uint32(0)
	var b [8]byte
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// diagnose returns the attributes that sock_diag has of a TCP socket.
func diagnose(fd int) ([]byte, error) {
	req, err := diagRequest(fd)
	if err != nil {
		return nil, err
	}
	nl, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(nl)
	if err := unix.Sendto(nl, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	b := make([]byte, 16384)
	n, _, err := unix.Recvfrom(nl, b, 0)
	if err != nil {
		return nil, err
	}
	b = b[:n]
	if len(b) < unix.NLMSG_HDRLEN+diagMsgLen || binary.NativeEndian.Uint16(b[4:]) != sockDiagByFamily {
		return nil, fmt.Errorf("socket diagnosis: %d bytes of type %d", len(b), binary.NativeEndian.Uint16(b[4:]))
	}
	return b[unix.NLMSG_HDRLEN+diagMsgLen:], nil
}

func diagRequest(fd int) ([]byte, error) {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return nil, err
	}
	b := make([]byte, unix.NLMSG_HDRLEN+diagReqLen)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	r := b[unix.NLMSG_HDRLEN:]
	r[1] = unix.IPPROTO_TCP
	r[2] = 1 << (inetDiagInfo - 1)                   // what we want comes with this only
	binary.NativeEndian.PutUint32(r[4:], ^uint32(0)) // states
	id := r[8:]                                      // struct inet_diag_sockid
	r[0] = diagEnd(local, id[0:], id[4:])
	diagEnd(peer, id[2:], id[20:])
	binary.NativeEndian.PutUint64(id[40:], ^uint64(0)) // no cookie
	return b, nil
}

func diagEnd(a unix.Sockaddr, port, addr []byte) (family byte) {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		binary.BigEndian.PutUint16(port, uint16(a.Port))
		copy(addr, a.Addr[:])
		return unix.AF_INET
	case *unix.SockaddrInet6:
		binary.BigEndian.PutUint16(port, uint16(a.Port))
		copy(addr, a.Addr[:])
		return unix.AF_INET6
	}
	return 0
}
