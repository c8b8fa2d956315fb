// SPDX-License-Identifier: Apache-2.0

package sockaddr

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

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

// Ends returns a connected socket's addresses, IPv4 as IPv4 whatever the socket's
// family. EPROTOTYPE is a socket of another kind.
func Ends(fd int) (local, remote netip.AddrPort, err error) {
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
			return local, remote, fmt.Errorf("addresses of a socket: %T is no address of TCP: %w", sa, unix.EPROTOTYPE)
		}
	}
	return local, remote, nil
}
