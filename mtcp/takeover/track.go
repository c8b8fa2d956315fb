// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// forget removes an address's connections from connection tracking. When they
// come back here they have gone on elsewhere, and the kernel would call their
// segments invalid, by windows that it remembers.
func (l *Link) forget(ip netip.Addr) error {
	if l.tracked == nil || sysctl(l.tracked) == "0" {
		return nil
	}
	family := netlink.InetFamily(unix.AF_INET6)
	if ip.Is4() {
		family = unix.AF_INET
	}
	if _, err := l.nl.ConntrackDeleteFilters(netlink.ConntrackTable, family, ofAddress(ip)); err != nil {
		return fmt.Errorf("connection tracking of %s: %w", ip, err)
	}
	return nil
}

// ofAddress matches the TCP connections of an address.
type ofAddress netip.Addr

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (a ofAddress) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	src, _ := netip.AddrFromSlice(f.Forward.SrcIP)
	dst, _ := netip.AddrFromSlice(f.Forward.DstIP)
	ip := netip.Addr(a)
	return f.Forward.Protocol == unix.IPPROTO_TCP && (src.Unmap() == ip || dst.Unmap() == ip)
}
