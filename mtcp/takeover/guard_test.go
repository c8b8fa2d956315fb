// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lazystate/internal/netrig"
)

// What is announced, as an independent decoder reads it (RFC 5227, RFC 4861).
func TestAnnouncements(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	p := gopacket.NewPacket(gratuitousARP(mac, netip.MustParseAddr("192.0.2.1")), layers.LayerTypeEthernet, gopacket.Default)
	arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP)
	if !ok {
		t.Fatal(p)
	}
	if arp.Operation != layers.ARPRequest || !bytes.Equal(arp.SourceHwAddress, mac) || !bytes.Equal(arp.SourceProtAddress, []byte{192, 0, 2, 1}) || !bytes.Equal(arp.DstProtAddress, arp.SourceProtAddress) {
		t.Errorf("%+v", arp)
	}
	ip := netip.MustParseAddr("2001:db8::1")
	p = gopacket.NewPacket(unsolicitedNA(mac, ip), layers.LayerTypeICMPv6, gopacket.Default)
	na, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if !ok {
		t.Fatal(p)
	}
	if !na.Override() || na.Solicited() || na.Router() || !bytes.Equal(na.TargetAddress, ip.AsSlice()) || len(na.Options) != 1 || !bytes.Equal(na.Options[0].Data, mac) {
		t.Errorf("%+v", na)
	}
}

func tables(t *testing.T, h *netrig.Host) (names []string) {
	t.Helper()
	h.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		all, err := c.ListTables()
		for _, table := range all {
			names = append(names, table.Name)
		}
		return err
	})
	return names
}

// A daemon that dies takes its guard along: the kernel sees its socket close.
func TestGuardEndsWithItsProcess(t *testing.T) {
	w := newWorld(t, "ipv4")
	var l *Link
	w.servers[1].Do(func() (err error) { l, err = Open(netrig.Dev); return err })
	name := l.guard.table.Name
	must(t, l.guard.on(w.service.Addr()))
	if !slices.Contains(tables(t, w.servers[1]), name) {
		t.Fatalf("no table %s: %v", name, tables(t, w.servers[1]))
	}
	must(t, l.guard.nft.CloseLasting()) // as the kernel does for the dead
	for end := time.Now().Add(hang); time.Now().Before(end); {
		if !slices.Contains(tables(t, w.servers[1]), name) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("table %s is still there", name)
}

// The guard is for one address's TCP on the network, both ways, and nothing else.
func TestGuardIsNarrow(t *testing.T) {
	w := newWorld(t, "ipv4")
	l := w.listen(0, 8000)
	client, server := w.dial(8000), w.accept(l)
	leaving, err := w.links[0].Leave(w.service.Addr())
	must(t, err)
	silent := func(c net.Conn) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := c.Read(make([]byte, 100)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
		_ = c.SetReadDeadline(time.Now().Add(hang))
	}
	send(t, client, "in")
	silent(server)
	send(t, server, "out")
	silent(client)
	for _, from := range []*netrig.Host{w.client, w.servers[0]} { // another address; the loopback
		to := "10.9.0.1:8000"
		if from == w.servers[0] {
			to = "10.9.0.100:8000"
		}
		from.Do(func() error {
			c, err := net.DialTimeout("tcp", to, hang)
			if err == nil {
				c.Close()
			}
			return err
		})
		w.accept(l)
	}
	must(t, leaving.Undo())
	get(t, server, "in")
	get(t, client, "out")
}

func TestAddressesThatCannotMove(t *testing.T) {
	w := newWorld(t, "ipv4")
	if _, err := w.links[1].Leave(w.service.Addr()); !errors.Is(err, ErrNoAddress) {
		t.Errorf("got %v", err)
	}
	if _, err := w.links[0].Arrive(w.service); !errors.Is(err, ErrHasAddress) {
		t.Errorf("got %v", err)
	}
	// The first address of a subnet takes the others along.
	w.servers[0].Sysctl("net/ipv4/conf/all/promote_secondaries", "0")
	w.servers[0].Sysctl("net/ipv4/conf/eth0/promote_secondaries", "0")
	var shared *SharedError
	_, err := w.links[0].Leave(netip.MustParseAddr("10.9.0.1"))
	if !errors.As(err, &shared) || len(shared.Others) != 1 || shared.Others[0] != w.service.Addr() {
		t.Errorf("got %v", err)
	}
	w.servers[0].Sysctl("net/ipv4/conf/eth0/promote_secondaries", "1")
	leaving, err := w.links[0].Leave(netip.MustParseAddr("10.9.0.1"))
	must(t, err)
	if err := leaving.Done(); err == nil {
		t.Error("done before it was released")
	}
	must(t, leaving.Release())
	must(t, leaving.Release()) // once is enough
	must(t, leaving.Undo())
	// The guards of those that failed are off.
	l := w.listen(0, 8000)
	send(t, w.dial(8000), "x")
	get(t, w.accept(l), "x")
}

// A peer that has not heard the announcement goes on talking to the old host,
// whose kernel must not answer, and the session goes on once it has.
func TestDeafPeer(t *testing.T) {
	w := newWorld(t, "ipv4")
	listeners := []*net.TCPListener{w.listen(0, 8000), w.listen(1, 8000)}
	client, server := w.dial(8000), w.accept(listeners[0])
	w.client.Neigh(w.service.Addr(), w.servers[0].MAC())
	server = w.take([]*net.TCPConn{server})[0]
	for _, s := range []string{"one ", "two ", "three"} {
		send(t, client, s)
		time.Sleep(20 * time.Millisecond)
	}
	w.client.Neigh(w.service.Addr(), w.servers[1].MAC())
	get(t, server, "one two three")
	send(t, server, "all")
	get(t, client, "all")
}

// Both servers drop what their connection tracking calls invalid; half-closed
// sessions, which need a segment of our own making, get through it.
func TestStatefulFirewall(t *testing.T) {
	for family := range families {
		t.Run(family, func(t *testing.T) {
			w := newWorld(t, family)
			for _, s := range w.servers {
				s.Do(dropInvalid)
			}
			listeners := []*net.TCPListener{w.listen(0, 8000), w.listen(1, 8000)}
			client, server := w.dial(8000), w.accept(listeners[0])
			send(t, client, "request")
			must(t, client.CloseWrite())
			get(t, server, "request")
			if _, err := server.Read(make([]byte, 1)); err == nil {
				t.Fatal("no EOF")
			}
			for range 3 {
				server = w.take([]*net.TCPConn{server})[0]
				send(t, server, "reply")
				get(t, client, "reply")
			}
			must(t, server.Close())
			if n, err := client.Read(make([]byte, 1)); n > 0 || err == nil || !strings.Contains(err.Error(), "EOF") {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
}

func dropInvalid() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Name: "firewall", Family: nftables.TableFamilyINet})
	for name, hook := range map[string]*nftables.ChainHook{"input": nftables.ChainHookInput, "output": nftables.ChainHookOutput} {
		chain := c.AddChain(&nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityFilter})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: []byte{1, 0, 0, 0}, Xor: make([]byte, 4)}, // NF_CT_STATE_INVALID_BIT
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
	return c.Flush()
}
