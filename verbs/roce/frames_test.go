// SPDX-License-Identifier: Apache-2.0

package roce_test

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
	"lazystate/verbs/roce"
	"lazystate/verbs/roce/netio"
	"lazystate/verbs/verbstest"
)

// inNamespace runs f on a thread with a network of its own, which goes with the
// thread; what f opens stays there.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	if os.Getuid() != 0 {
		lab.Skip(t, "a network namespace needs root")
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		h, err := netns.New()
		if err == nil {
			h.Close()
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// give brings a link up with the kernel's addresses.
func give(name string, addrs ...string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
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
}

// beside is the kernel's UDP at one end of a link, our own frames at the other.
func beside(mtu int, kernel, own, prefix string, link func(mtu int) (name string, o netio.L2Options, err error)) network {
	return func(t *testing.T) (a, b netio.Port) {
		t.Helper()
		inNamespace(t, func() error {
			name, o, err := link(mtu)
			if err != nil {
				return err
			}
			// The TAP has no carrier before somebody holds it.
			if b, err = netio.ListenL2(netip.MustParseAddrPort(own), o); err != nil {
				return err
			}
			k := netip.MustParseAddrPort(kernel)
			if err := give(name, k.Addr().String()+prefix); err != nil {
				return err
			}
			a, err = netio.ListenUDP(k, netio.UDPOptions{})
			return err
		})
		untilReachable(t, a, b)
		return a, b
	}
}

// untilReachable waits until the kernel's end uses its new link, which takes it up
// to a second.
func untilReachable(t *testing.T, a, b netio.Port) {
	t.Helper()
	var got [4]netio.Datagram
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, err := a.Send([]netio.Datagram{{Peer: b.Local(), Data: []byte("hello")}}); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Recv(got[:]); n > 0 || err != nil {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("nothing from %v reaches %v", a.Local(), b.Local())
}

func veth(mtu int) (string, netio.L2Options, error) {
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "kern", MTU: mtu}, PeerName: "own"}
	if err := netlink.LinkAdd(pair); err != nil {
		return "", netio.L2Options{}, err
	}
	return "kern", netio.L2Options{Interface: "own"}, give("own")
}

func tap(mtu int) (string, netio.L2Options, error) {
	l := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap0", MTU: mtu}, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI}
	if err := netlink.LinkAdd(l); err != nil {
		return "", netio.L2Options{}, err
	}
	return "tap0", netio.L2Options{TAP: "tap0"}, netlink.LinkSetMTU(l, mtu)
}

// Frames of our own, by a TAP and by a packet socket, against the kernel's UDP:
// who answers ARP and neighbor discovery, sets ID and DF, and reads trains that a
// kernel left whole, shows by the suite.
func TestConformanceByFrames(t *testing.T) {
	for name, n := range map[string]network{
		"packet4":   beside(4300, "10.9.8.1:4791", "10.9.8.2:4791", "/24", veth),
		"packet6":   beside(4300, "[fd09::1]:4791", "[fd09::2]:4791", "/64", veth),
		"tap4-1500": beside(1500, "10.9.8.1:4791", "10.9.8.2:4791", "/24", tap),
		"tap6":      beside(4300, "[fd09::1]:4791", "[fd09::2]:4791", "/64", tap),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each link takes a second to come up
			c := roce.Config{}
			if name == "tap4-1500" {
				c.MTU = driver.MTU1024
			}
			p := devices(c, n)
			p.MaxSize, p.Sample = 2<<20, lab.Sample()
			verbstest.Run(t, p)
		})
	}
}
