// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/internal/netrig"
)

// A neighbour that has not heard the announcement, and has no doubt, is told again.
func TestRepeat(t *testing.T) {
	for family := range families {
		t.Run(family, func(t *testing.T) {
			w := newWorld(t, family)
			w.servers[0].Unaddr(w.service.String())
			arriving, err := w.links[1].Arrive(w.service)
			must(t, err)
			must(t, arriving.Open())
			w.neighbor(w.servers[0].MAC())
			w.links[1].Repeat(w.service.Addr())
			for end := time.Now().Add(hang); !slices.Equal(w.neighbor(nil), w.servers[1].MAC()); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it is not told again")
				}
			}
		})
	}
}

// neighbor is where the client sends what is for the service, until it hears
// otherwise; that is set if it is given.
func (w *world) neighbor(to net.HardwareAddr) (mac net.HardwareAddr) {
	w.t.Helper()
	w.client.Do(func() error {
		l, err := netlink.LinkByName(netrig.Dev)
		if err != nil {
			return err
		}
		ip := w.service.Addr()
		if to != nil {
			return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_REACHABLE, IP: ip.AsSlice(), HardwareAddr: to})
		}
		all, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_ALL)
		for _, n := range all {
			if n.IP.Equal(ip.AsSlice()) {
				mac = n.HardwareAddr
			}
		}
		return err
	})
	return mac
}
