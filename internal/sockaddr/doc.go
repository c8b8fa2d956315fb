// SPDX-License-Identifier: Apache-2.0

// Package sockaddr is the ends of TCP connections, between net/netip and the socket
// calls: of what is taken out of one kernel and put into another (§2.5.3).
//
// The trap: a socket of IPv6 may have an IPv4 connection, whose addresses it shows
// mapped. Here they are those of IPv4, for the connection may go on with a socket of
// the other family. Zones are not kept: an interface means another one elsewhere.
//
//	local, remote, err := sockaddr.Ends(fd)
//	if err != nil {
//		return err
//	}
//	fd, err = unix.Socket(sockaddr.Family(local.Addr()), unix.SOCK_STREAM, 0)
//	if err == nil {
//		err = unix.Bind(fd, sockaddr.Of(local))
//	}
package sockaddr
