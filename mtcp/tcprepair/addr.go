// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ends returns a socket's addresses, IPv4 as IPv4 whatever the socket's family.
func ends(fd int) (local, remote netip.AddrPort, err error) {
	for _, e := range []struct {
		get func(int) (unix.Sockaddr, error)
		to  *netip.AddrPort
	}{{unix.Getsockname, &local}, {unix.Getpeername, &remote}} {
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
			return local, remote, fmt.Errorf("addresses of a socket: %T is no address of TCP", sa)
		}
	}
	return local, remote, checkAddrs(local, remote)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// disconnect is connect(AF_UNSPEC), which x/sys cannot say. In repair mode it
// sends nothing (net/ipv4/tcp.c, tcp_disconnect).
func disconnect(fd int) error {
	var sa unix.RawSockaddr // AF_UNSPEC
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	if e != 0 {
		return fmt.Errorf("disconnect: %w", e)
	}
	return nil
}
