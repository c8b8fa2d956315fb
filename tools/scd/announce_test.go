// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/internal/netrig"
)

// neighbor is where a host sends what is for the world's address.
func (w *world) neighbor(h *netrig.Host) (mac string) {
	w.t.Helper()
	h.Do(func() error {
		l, err := netlink.LinkByName(netrig.Dev)
		if err != nil {
			return err
		}
		all, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_V4)
		for _, n := range all {
			if n.IP.String() == w.addr.String() {
				mac = n.HardwareAddr.String()
			}
		}
		return err
	})
	return mac
}

// sendsTo has this thread's host send what is for ip to mac, until it hears otherwise.
func sendsTo(ip netip.Addr, mac net.HardwareAddr) error {
	l, err := netlink.LinkByName(netrig.Dev)
	if err != nil {
		return err
	}
	return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_REACHABLE, IP: ip.AsSlice(), HardwareAddr: mac})
}

// A client has not heard that the address has moved, and its kernel has no doubt: what
// the network is told is told again. (Where this machine is so slow that all has been
// said before the client can be made not to have heard it, another move is made.)
func TestAnnouncementsGetLost(t *testing.T) {
	w := newWorld(t, false)
	w.client.Sysctl("net/ipv4/neigh/"+netrig.Dev+"/base_reachable_time_ms", "3600000")
	end := w.idle()
	w.sites[w.at].await("the session", func() bool { return len(w.sites[w.at].ls()) == 1 }) // or it comes while the address moves
	for range 5 {
		from := w.sites[w.at].MAC()
		w.move()
		w.client.Do(func() error { return sendsTo(w.addr, from) })
		for late := time.Now().Add(20 * time.Second); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
			if w.neighbor(w.client) == w.sites[w.at].MAC().String() {
				end()
				return
			}
		}
	}
	t.Error("nobody is told again")
}
