// SPDX-License-Identifier: Apache-2.0

package roce_test

import (
	"flag"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/verbstest"
)

func TestMain(m *testing.M) {
	roce.BePeer()
	if err := flag.Set("test.parallel", "4"); err != nil { // they wait more than they compute
		panic(err)
	}
	verbstest.Main(m)
}

// mortal is a port that can be taken off its network.
type mortal struct {
	netio.Port
	dead atomic.Bool
}

func (m *mortal) Send(ds []netio.Datagram) (int, error) {
	if m.dead.Load() {
		return len(ds), nil
	}
	return m.Port.Send(ds)
}

func (m *mortal) Recv(ds []netio.Datagram) (int, error) {
	n, err := m.Port.Recv(ds)
	if m.dead.Load() {
		n = 0
	}
	return n, err
}

// network makes the ports of a pair's two devices.
type network func(t *testing.T) (a, b netio.Port)

// devices makes what the suite needs of a network.
func devices(c roce.Config, n network) verbstest.Pair {
	ports := map[driver.Device]*mortal{}
	return verbstest.Pair{
		Open: func(t *testing.T) (a, b driver.Device) {
			t.Helper()
			pa, pb := n(t)
			var ds [2]*roce.Device
			for i, p := range []netio.Port{pa, pb} {
				c := c
				m := &mortal{Port: p}
				c.IO, c.PeerPort = m, []netio.Port{pb, pa}[i].Local().Port()
				d, err := roce.Open(c)
				if err != nil {
					t.Fatal(err)
				}
				ds[i], ports[d] = d, m
			}
			return ds[0], ds[1]
		},
		Vanish: func(_ *testing.T, d driver.Device) { ports[d].dead.Store(true) },
	}
}

// udp listens at two addresses.
func udp(a, b string) network {
	return func(t *testing.T) (netio.Port, netio.Port) {
		t.Helper()
		var ports [2]netio.Port
		for i, addr := range []string{a, b} {
			p, err := netio.ListenUDP(netip.MustParseAddrPort(addr), netio.UDPOptions{})
			if err != nil {
				t.Fatal(err)
			}
			ports[i] = p
		}
		return ports[0], ports[1]
	}
}

// inMemory is a network in memory.
func inMemory(t *testing.T) (netio.Port, netio.Port) {
	t.Helper()
	hub := &netio.Hub{}
	var ports [2]netio.Port
	for i := range ports {
		p, err := hub.Port(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 9, byte(i + 1)}), 4791), true)
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = p
	}
	return ports[0], ports[1]
}

// bad is a network with faults at both ends.
func bad(n network, f netio.Faults) network {
	return func(t *testing.T) (netio.Port, netio.Port) {
		t.Helper()
		a, b := n(t)
		ports := [2]netio.Port{a, b}
		for i := range ports {
			f.Seed++ // of each end, and each time the network is made
			p, err := netio.Bad(ports[i], f)
			if err != nil {
				t.Fatal(err)
			}
			ports[i] = p
		}
		return ports[0], ports[1]
	}
}

// All of the suite for one MTU, samples for others and for IPv6; all in make soak. Most
// of it waits for what does not come: the networks are tried at once.
func TestConformance(t *testing.T) {
	v4 := udp("127.0.0.31:0", "127.0.0.32:0")
	for mtu := driver.MTU256; mtu <= driver.MTU4096; mtu++ {
		t.Run(fmt.Sprintf("udp4-%v", mtu), func(t *testing.T) {
			t.Parallel()
			p := devices(roce.Config{MTU: mtu}, v4)
			thin(&p, mtu)
			verbstest.Run(t, p)
		})
	}
	t.Run("udp6", func(t *testing.T) {
		t.Parallel()
		p := devices(roce.Config{}, udp6)
		p.Sample = lab.Sample()
		verbstest.Run(t, p)
	})
}

var udp6 = udp("[::1]:0", "[::1]:0")

// thin leaves make test a sample for every MTU but one, and of two that lie between others
// the sizes alone.
func thin(p *verbstest.Pair, mtu driver.MTU) {
	if mtu != driver.MTU1024 {
		p.Sample = lab.Sample()
	}
	if mtu == driver.MTU512 || mtu == driver.MTU2048 {
		sizesOnly(p)
	}
}

// sizesOnly leaves make test messages of all sizes, up to a few packets.
func sizesOnly(p *verbstest.Pair) {
	if p.Sample = lab.Sample(); p.Sample != 0 {
		p.MaxSize, p.Only = 64<<10, "Sizes"
	}
}

// The suite over networks that lose one packet in fifty each way, and hand some over twice
// or late.
func TestConformanceWithLoss(t *testing.T) {
	f := netio.Faults{Loss: 0.02, Duplicate: 0.005, Reorder: 0.005}
	for mtu := driver.MTU256; mtu <= driver.MTU4096; mtu++ {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			t.Parallel()
			p := devices(roce.Config{MTU: mtu}, bad(inMemory, f))
			p.Lossy, p.MaxSize = true, 512*mtu.Bytes()
			thin(&p, mtu)
			verbstest.Run(t, p)
		})
	}
	t.Run("udp6", func(t *testing.T) {
		t.Parallel()
		p := devices(roce.Config{MTU: driver.MTU1024}, bad(udp6, f))
		p.Lossy, p.MaxSize = true, 512<<10
		sizesOnly(&p)
		verbstest.Run(t, p)
	})
}
