// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// way finds where segments to the current server leave, and whether they go to
// the same router as those to the application's server: then no address of the
// link changes.
func (a *Agent) way(app Flow, s *bpfSession) error {
	to, err := route(a.hooks.nl, flowOf(s.Wire).Remote.Addr())
	if err != nil {
		return err
	}
	s.Oif = uint32(to.LinkIndex)
	was, err := route(a.hooks.nl, app.Remote.Addr())
	if err == nil && to.LinkIndex == was.LinkIndex && to.Gw != nil && to.Gw.Equal(was.Gw) {
		s.Flags |= direct
	}
	return nil
}

func route(nl *netlink.Handle, to netip.Addr) (netlink.Route, error) {
	all, err := nl.RouteGet(to.AsSlice())
	if err != nil {
		return netlink.Route{}, fmt.Errorf("route to %s: %w", to, err)
	}
	if len(all) == 0 {
		return netlink.Route{}, fmt.Errorf("route to %s: none", to)
	}
	return all[0], nil
}
