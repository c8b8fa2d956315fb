// SPDX-License-Identifier: Apache-2.0

package sockaddr

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Source is the address of this host that packets to remote carry. A UDP socket is
// asked, which sends nothing.
func Source(remote netip.AddrPort) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// Of is an end for the socket calls.
func Of(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// Family is that of the socket which can have an address.
func Family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Ends returns the addresses of a connected socket, or of one whose connection has
// ended, IPv4 as IPv4 whatever the socket's family. EPROTOTYPE is a socket of another kind.
func Ends(fd int) (local, remote netip.AddrPort, err error) {
	for _, e := range []struct {
		get func(int) (unix.Sockaddr, error)
		to  *netip.AddrPort
	}{{unix.Getsockname, &local}, {peerName, &remote}} {
		sa, err := e.get(fd)
		if err != nil {
			return local, remote, fmt.Errorf("addresses of a socket: %w", err)
		}
		switch a := sa.(type) {
		case *unix.SockaddrInet4:
			*e.to = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
		case *unix.SockaddrInet6:
			*e.to = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
		default:
			return local, remote, fmt.Errorf("addresses of a socket: %T is no address of TCP: %w", sa, unix.EPROTOTYPE)
		}
	}
	return local, remote, nil
}

// peerName is getpeername, which does not tell of a connection that has ended; the
// socket knows it until it is closed (net/ipv4/af_inet.c, inet_getname).
func peerName(fd int) (unix.Sockaddr, error) {
	sa, err := unix.Getpeername(fd)
	if err != unix.ENOTCONN {
		return sa, err
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, os.NewSyscallError("SO_DOMAIN", err)
	}
	if family == unix.AF_INET {
		var raw unix.RawSockaddrInet4
		err := peerOfOld(fd, unsafe.Pointer(&raw), unsafe.Sizeof(raw))
		return &unix.SockaddrInet4{Addr: raw.Addr, Port: hostOrder(raw.Port)}, err
	}
	var raw unix.RawSockaddrInet6
	err = peerOfOld(fd, unsafe.Pointer(&raw), unsafe.Sizeof(raw))
	return &unix.SockaddrInet6{Addr: raw.Addr, Port: hostOrder(raw.Port)}, err
}

// peerOfOld: the kernel refuses a size that is larger than what it has.
func peerOfOld(fd int, to unsafe.Pointer, size uintptr) error {
	n := uint32(size)
	if _, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERNAME, uintptr(to), uintptr(unsafe.Pointer(&n)), 0); e != 0 {
		return e
	}
	return nil
}

// hostOrder is of a port in the order of the network.
func hostOrder(port uint16) int {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return int(binary.BigEndian.Uint16(b[:]))
}
