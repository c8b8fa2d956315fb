// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks our routes (RTA_PROTOCOL) for who finds them later.
const routeProtocol = 0x4d

// InitialWindow is how many segments a connection begins with where no route says
// otherwise (include/net/tcp.h, TCP_INIT_CWND; RFC 6928).
const InitialWindow = 10

// Begin has connections to a peer that are made from now on begin with a congestion
// window of so many segments, until undo: by a route to this peer alone, which is
// otherwise that to its network. There is no other way to tell TCP; what others
// make meanwhile begins so, too.
func (l *Link) Begin(own, peer netip.Addr, segments uint32) (undo func() error, err error) {
	routes, err := l.nl.RouteGetWithOptions(peer.AsSlice(), &netlink.RouteGetOptions{SrcAddr: own.AsSlice()})
	if err == nil && (len(routes) == 0 || routes[0].Type != unix.RTN_UNICAST || routes[0].LinkIndex == 0) {
		err = errors.New("no route that could be repeated")
	}
	if err != nil {
		return nil, fmt.Errorf("window of connections to %s: %w", peer, err)
	}
	to := &routes[0]
	r := &netlink.Route{
		Dst:      &net.IPNet{IP: peer.AsSlice(), Mask: net.CIDRMask(peer.BitLen(), peer.BitLen())},
		Protocol: routeProtocol, LinkIndex: to.LinkIndex, Gw: to.Gw, MTU: to.MTU, AdvMSS: to.AdvMSS, InitCwnd: int(segments),
	}
	if r.Gw == nil && peer.Is4() {
		r.Scope = netlink.SCOPE_LINK
	}
	if err := l.nl.RouteAdd(r); err != nil {
		return nil, fmt.Errorf("route to %s with a window: %w", peer, err)
	}
	return func() error {
		if err := l.nl.RouteDel(r); err != nil {
			return fmt.Errorf("route to %s with a window: remove: %w", peer, err)
		}
		return nil
	}, nil
}

// Sweep removes what a process that was killed has left of Begin.
func (l *Link) Sweep() error {
	left, err := l.nl.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{LinkIndex: l.index, Protocol: routeProtocol}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_PROTOCOL)
	for i := range left {
		err = errors.Join(err, l.nl.RouteDel(&left[i]))
	}
	if err != nil {
		return fmt.Errorf("routes with a window that somebody has left: %w", err)
	}
	return nil
}
