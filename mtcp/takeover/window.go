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
		Dst:       &net.IPNet{IP: peer.AsSlice(), Mask: net.CIDRMask(peer.BitLen(), peer.BitLen())},
		LinkIndex: to.LinkIndex, Gw: to.Gw, MTU: to.MTU, AdvMSS: to.AdvMSS, InitCwnd: int(segments),
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
