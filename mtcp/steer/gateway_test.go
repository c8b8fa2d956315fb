// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
	"lazystate/tools/lab"
)

// routed is a client and two servers on networks of their own, with a router
// between them that has one interface.
type routed struct {
	net3
	router *netrig.Host
}

var farV4, farV6 = netip.MustParseAddr("10.8.0.1"), netip.MustParseAddr("fd08::1")

func newRouted(t *testing.T) routed {
	t.Helper()
	usable(t)
	r := netrig.New(t, "client", "router", "s1", "s2")
	n := routed{net3{r.Host("client"), r.Host("s1"), r.Host("s2")}, r.Host("router")}
	for _, s := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		n.router.Sysctl(s, "1")
	}
	for _, s := range []string{"all", netrig.Dev} {
		n.router.Sysctl("net/ipv4/conf/"+s+"/send_redirects", "0")
	}
	for _, h := range []*netrig.Host{n.client, n.s1, n.s2} { // it would tell them a way around itself
		h.Sysctl("net/ipv6/conf/"+netrig.Dev+"/accept_redirects", "0")
	}
	for _, a := range []struct {
		h        *netrig.Host
		addr, gw string
	}{
		{n.client, "10.8.0.1/24", "10.8.0.254"}, {n.client, "fd08::1/64", "fd08::fe"},
		{n.s1, "10.9.0.2/24", "10.9.0.254"}, {n.s1, "fd09::2/64", "fd09::fe"},
		{n.s2, "10.9.0.3/24", "10.9.0.254"}, {n.s2, "fd09::3/64", "fd09::fe"},
		{n.router, "10.8.0.254/24", ""}, {n.router, "fd08::fe/64", ""}, {n.router, "10.9.0.254/24", ""}, {n.router, "fd09::fe/64", ""},
	} {
		a.h.Addr(a.addr)
		if a.gw != "" {
			a.h.Do(func() error { return defaultVia(a.gw) })
		}
	}
	return n
}

func defaultVia(gw string) error {
	ip, dst := net.ParseIP(gw), &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	if ip.To4() != nil {
		dst = &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	}
	return netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: ip})
}

// strict makes a host's firewall drop what its connection tracking finds to be
// of no connection.
func strict(t *testing.T, hosts ...*netrig.Host) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		lab.Skip(t, "no nft")
	}
	rules := `table inet strict {
	chain in { type filter hook input priority 0; ct state invalid counter drop; }
	chain out { type filter hook output priority 0; ct state invalid counter drop; }
	chain forward { type filter hook forward priority 0; ct state invalid counter drop; }
}`
	for _, h := range hosts {
		h.Sysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "0")
		h.Do(func() error {
			cmd := exec.Command("nft", "-f", "-")
			cmd.Stdin = strings.NewReader(rules)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("nft: %w: %s", err, out)
			}
			return nil
		})
	}
}

// dropped is how many packets a router's firewall has dropped.
func dropped(t *testing.T, h *netrig.Host) (n int) {
	t.Helper()
	h.Do(func() error {
		out, err := exec.Command("nft", "list", "chain", "inet", "strict", "forward").Output()
		if err != nil {
			return err
		}
		_, after, _ := strings.Cut(string(out), "packets ")
		_, err = fmt.Sscanf(after, "%d", &n)
		return err
	})
	return n
}

// translate makes a router hide the clients behind its own address.
func translate(t *testing.T, h *netrig.Host) {
	t.Helper()
	rules := "table inet nat { chain post { type nat hook postrouting priority 100; ip saddr 10.8.0.0/24 ip daddr 10.9.0.0/24 masquerade; ip6 saddr fd08::/64 ip6 daddr fd09::/64 masquerade; }; }"
	h.Do(func() error {
		if out, err := exec.Command("nft", rules).CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	})
}

// A client behind an address translator moves: nobody names the connection by
// addresses that the translator changes.
func TestMoveThroughATranslator(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6 %t", v6), func(t *testing.T) {
			n := newRouted(t)
			strict(t, n.client, n.router, n.s1, n.s2)
			translate(t, n.router)
			client, s1, s2 := farV4, s1V4, s2V4
			if v6 {
				client, s1, s2 = farV6, s1V6, s2V6
			}
			if r := n.underTraffic(t, client, s1, s2, 4<<20, 3); r.peer.Remote.Addr() == client {
				t.Error("nothing was translated")
			}
		})
	}
}

// redirect moves a session at the gateway: no word of it is on the client's side.
func (r *trip) redirect(gateway *netrig.Host, to *site) {
	r.t.Helper()
	r.app.mu.Lock()
	defer r.app.mu.Unlock()
	s, err := r.agent.Session(r.f)
	if errors.Is(err, ErrNoSession) {
		s.Wire = r.f
	} else if err != nil {
		r.t.Fatal(err)
	}
	old, next := Flow{s.Wire.Remote, s.Wire.Local}, Flow{to.addr, s.Wire.Local}
	var frozen *tcprepair.Frozen
	var dump *tcprepair.Dump
	gateway.Do(func() error { _, err := r.agent.Begin(r.f, Try{Server: to.addr, For: hang}); return err })
	r.at.Do(func() (err error) {
		if err = r.at.srv.Hold(old, Deaf, 0); err != nil {
			return err
		}
		if frozen, err = r.at.stack.Freeze(r.app.fd); err == nil {
			dump, err = frozen.Dump()
		}
		return err
	})
	dump.Local = to.addr
	var restored *tcprepair.Restored
	to.Do(func() (err error) {
		if err = to.srv.Hold(next, Early, hang); err == nil {
			restored, err = to.stack.Restore(dump)
		}
		return err
	})
	gateway.Do(func() error { _, err := r.agent.Switch(r.f, Shift{}); return err })
	to.Do(func() (err error) {
		if err = errors.Join(to.srv.Release(next), restored.Live()); err == nil {
			r.app.fd, err = restored.Take()
		}
		return err
	})
	r.arrived()
	r.at.Do(func() error { return errors.Join(frozen.Discard(), r.at.srv.Release(old)) })
	r.at = to
}

// A client behind a gateway downloads and uploads while the gateway sends it to
// one server and back to the other; the firewall of the gateway sees one
// connection, which makes sense to it.
func TestGatewayRedirectsUnderTraffic(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, firewall := range []bool{false, true} {
			if firewall && lab.InGuest() {
				continue // no nft there
			}
			t.Run(fmt.Sprintf("v6 %t firewall %t", v6, firewall), func(t *testing.T) {
				n := newRouted(t)
				if firewall {
					strict(t, n.router, n.client)
				}
				n.throughGateway(t, v6)
			})
		}
	}
}

func (n routed) throughGateway(t *testing.T, v6 bool) {
	client, s1, s2 := farV4, s1V4, s2V4
	if v6 {
		client, s1, s2 = farV6, s1V6, s2V6
	}
	const total, hops = 8 << 20, 4
	sites := []*site{newSite(t, n.s1, netip.AddrPortFrom(s1, 80)), newSite(t, n.s2, netip.AddrPortFrom(s2, 8080))}
	agent := open(t, n.router, Config{Gateway: true})
	c, s := connect(t, n.client, n.s1, client, sites[0].addr)
	r := &trip{t: t, agent: agent, f: flowOfConn(c), at: sites[0], app: newApp(t, s, total)}
	done := r.run(c)
	for i := range hops {
		time.Sleep(20 * time.Millisecond)
		r.redirect(n.router, sites[(i+1)%2])
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	unix.Close(r.app.fd)
	st, err := agent.Stats()
	t.Logf("%+v", st)
	if err != nil || st.Opened != hops || st.Refused != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// The handshake passes firewalls that drop what belongs to no connection: at the
// client, at a router on the way and at S2; then the session goes on through them.
func TestMoveThroughFirewalls(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6 %t", v6), func(t *testing.T) {
			n := newRouted(t)
			strict(t, n.client, n.router, n.s2)
			client, s1, s2 := farV4, s1V4, s2V4
			if v6 {
				client, s1, s2 = farV6, s1V6, s2V6
			}
			n.underTraffic(t, client, s1, s2, 4<<20, 1)
			before := dropped(t, n.router)
			stray := wire.Segment{Src: netip.AddrPortFrom(client, 9), Dst: netip.AddrPortFrom(s2, 9), Flags: wire.SYN | wire.ACK}
			out := sender(t, n.client)
			n.client.Do(func() error { return out.Send(stray) })
			for end := time.Now().Add(hang); dropped(t, n.router) != before+1; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("a stray SYN+ACK passed: the firewall is none")
				}
			}
			if before != 0 {
				t.Errorf("the firewall dropped %d segments of the session", before)
			}
		})
	}
}
