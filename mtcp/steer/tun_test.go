// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/mtcp/wire"
)

// tun gives a host a link without Ethernet headers and returns its other end.
func tun(t *testing.T, h *netrig.Host, addrs ...string) *os.File {
	t.Helper()
	l := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, Mode: netlink.TUNTAP_MODE_TUN,
		Flags: netlink.TUNTAP_NO_PI, Queues: 1, NonPersist: true,
	}
	h.Do(func() error {
		if err := netlink.LinkAdd(l); err != nil {
			return err
		}
		for _, s := range addrs {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				return err
			}
			n.IP = ip
			if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: n, Flags: unix.IFA_F_NODAD}); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(l)
	})
	t.Cleanup(func() { l.Fds[0].Close() })
	return l.Fds[0]
}

// On a link without Ethernet headers (a tunnel) it is the same, with nothing to
// resolve.
func TestLinkWithoutEthernet(t *testing.T) {
	usable(t)
	r := netrig.New(t, "client", "servers")
	client, servers := r.Host("client"), r.Host("servers")
	a := tun(t, client, "10.7.0.1/24", "fd07::1/64")
	b := tun(t, servers, "10.7.0.2/24", "10.7.0.3/24", "fd07::2/64", "fd07::3/64")
	pump := func(from, to *os.File) {
		buf := make([]byte, 1<<16)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return // closed
			}
			_, _ = to.Write(buf[:n])
		}
	}
	go pump(a, b)
	go pump(b, a)
	var agent *Agent
	client.Do(func() (err error) { agent, err = Open(Config{Interfaces: []string{"tun0"}}); return err })
	t.Cleanup(func() { agent.Close() })
	for _, prefix := range []string{"10.7.0.", "fd07::"} {
		t.Run(prefix, func(t *testing.T) {
			at := func(last byte, port uint16) netip.AddrPort {
				return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("%s%d", prefix, last)), port)
			}
			f, to := Flow{at(1, 40000), at(2, 80)}, Flow{at(1, 40001), at(3, 8080)}
			c := plant(t, client, half{f.Local, f.Remote, 7, 9})
			s := plant(t, servers, half{to.Remote, to.Local, 9, 7})
			out := sender(t, servers)
			client.Do(func() error {
				_, err := agent.Begin(f, Try{Server: to.Remote, Local: to.Local, For: hang})
				return err
			})
			hello := wire.Segment{Src: to.Remote, Dst: to.Local, Seq: 8, Ack: 7, Flags: wire.SYN | wire.ACK}
			servers.Do(func() error { return out.Send(hello) })
			if e := event(t, agent.source, Next); e.Flow != to || e.Segment.Seq != 8 {
				t.Errorf("told %+v", e)
			}
			client.Do(func() error { _, err := agent.Switch(f, Shift{}); return err })
			if _, err := s.Write([]byte("!")); err != nil || !reads(t, c, make([]byte, 1)) {
				t.Fatal(err)
			}
			exchange(t, c, s, 1<<20)
		})
	}
}
