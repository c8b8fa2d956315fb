// SPDX-License-Identifier: Apache-2.0

package netrig

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Dev is the name of every host's interface.
const Dev = "eth0"

// Usable reports why there can be no rig here.
func Usable() error {
	if os.Getuid() != 0 {
		return errors.New("a network namespace needs root")
	}
	return nil
}

// TB is what a rig wants of a test: a testing.TB, or a bench's own.
type TB interface {
	Helper()
	Fatal(args ...any) // does not return
	Cleanup(f func())
}

// Rig is some hosts on one network.
type Rig struct {
	hosts map[string]*Host
	Wire  *Host // where the bridge "br0" is, and the other end of each host's link
}

// Host is a network namespace.
type Host struct {
	Name string
	t    TB
	ns   netns.NsHandle
}

// New makes a rig that ends with the test. Hosts have no addresses yet.
func New(t TB, names ...string) *Rig {
	t.Helper()
	r := &Rig{map[string]*Host{}, newHost(t, "wire")}
	r.Wire.Do(func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: new(bool)}
		return errors.Join(netlink.LinkAdd(br), netlink.LinkSetUp(br))
	})
	for _, name := range names {
		h := newHost(t, name)
		r.hosts[name] = h
		r.Wire.Do(func() error { return plug(h) })
		h.Do(func() error { return errors.Join(up("lo"), up(Dev)) })
	}
	for _, name := range names {
		r.hosts[name].Do(func() error { return errors.Join(carried(Dev), ready()) })
		r.Wire.Do(func() error { return carried(name) })
	}
	return r
}

// Apart takes a host off the common bridge and puts it on one of its own: whoever asks for
// that joins the two (tools/lab/link).
func (r *Rig) Apart(name, bridge string) {
	r.Wire.t.Helper()
	r.Wire.Do(func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}, MulticastSnooping: new(bool)}
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkAdd(br)
		}
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetUp(br), netlink.LinkSetMaster(l, br))
	})
}

// Host returns the host with a name.
func (r *Rig) Host(name string) *Host { return r.hosts[name] }

func newHost(t TB, name string) *Host {
	t.Helper()
	h := &Host{Name: name, t: t}
	err := onThread(func() (err error) {
		if h.ns, err = netns.New(); err == nil {
			err = errors.Join(sysctl("net/ipv6/conf/all/accept_dad", "0"), sysctl("net/ipv6/conf/default/accept_dad", "0"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.ns.Close() })
	return h
}

// plug joins a host to the bridge of this thread's namespace.
func plug(h *Host) error {
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: h.Name}, PeerName: Dev, PeerNamespace: netlink.NsFd(h.ns)}
	if err := netlink.LinkAdd(v); err != nil {
		return fmt.Errorf("link of %s: %w", h.Name, err)
	}
	br, err := netlink.LinkByName("br0")
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetMaster(v, br), netlink.LinkSetUp(v))
}

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// patience bounds the waits for what the kernel's workers do: on a busy machine
// they wait long for the lock that every namespace's end takes.
const patience = 2 * time.Minute

// until waits until f reports true or fails.
func until(f func() (bool, error), otherwise string) error {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // each look takes that lock too
		if ok, err := f(); ok || err != nil {
			return err
		}
		if time.Now().After(end) {
			return errors.New(otherwise)
		}
	}
}

// carried waits for the kernel to see that a link has a carrier, which it looks
// at once a second: until then a bridge does not use the port.
func carried(name string) error {
	return until(func() (bool, error) {
		l, err := netlink.LinkByName(name)
		return err == nil && l.Attrs().OperState == netlink.OperUp, err
	}, "link "+name+" does not come up")
}

// ready waits for IPv6: until it is, an address is tentative, whatever is asked.
func ready() error {
	l, err := netlink.LinkByName(Dev)
	if err != nil {
		return err
	}
	return until(func() (bool, error) {
		addrs, err := netlink.AddrList(l, netlink.FAMILY_V6)
		return slices.ContainsFunc(addrs, func(a netlink.Addr) bool {
			return a.IP.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0
		}), err
	}, "IPv6 does not come up")
}

// onThread runs f on a thread that dies with it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// Do runs f in the host's namespace and fails the test if it fails.
func (h *Host) Do(f func() error) {
	h.t.Helper()
	if err := h.Try(f); err != nil {
		h.t.Fatal(err)
	}
}

// Try runs f in the host's namespace; any goroutine may.
func (h *Host) Try(f func() error) error {
	err := onThread(func() error {
		if err := netns.Set(h.ns); err != nil {
			return err
		}
		return f()
	})
	if err != nil {
		return fmt.Errorf("on %s: %w", h.Name, err)
	}
	return nil
}

// Path is where programs find the namespace while this process lives: nsenter --net.
func (h *Host) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(h.ns)) }

// Addr gives the host an address, usable at once.
func (h *Host) Addr(cidr string) {
	h.t.Helper()
	h.Do(func() error {
		if err := change(netlink.AddrReplace, cidr); err != nil {
			return err
		}
		return local(netip.MustParsePrefix(cidr).Addr())
	})
}

// local waits for the kernel's worker that makes an IPv6 address one.
func local(ip netip.Addr) error {
	return until(func() (bool, error) {
		routes, err := netlink.RouteGet(ip.AsSlice())
		return err == nil && routes[0].Type == unix.RTN_LOCAL, nil
	}, ip.String()+" does not become an address")
}

// Unaddr takes an address away.
func (h *Host) Unaddr(cidr string) {
	h.t.Helper()
	h.Do(func() error { return change(netlink.AddrDel, cidr) })
}

func change(how func(netlink.Link, *netlink.Addr) error, cidr string) error {
	l, err := netlink.LinkByName(Dev)
	if err != nil {
		return err
	}
	ip, n, err := net.ParseCIDR(cidr)
	if err != nil {
		return err
	}
	n.IP = ip
	return how(l, &netlink.Addr{IPNet: n, Flags: unix.IFA_F_NODAD})
}

// MAC is the hardware address of the host's interface.
func (h *Host) MAC() (mac net.HardwareAddr) {
	h.t.Helper()
	h.Do(func() error {
		l, err := netlink.LinkByName(Dev)
		if err == nil {
			mac = l.Attrs().HardwareAddr
		}
		return err
	})
	return mac
}

// Neigh makes the host send what is for ip to mac, whoever has that address.
func (h *Host) Neigh(ip netip.Addr, mac net.HardwareAddr) {
	h.t.Helper()
	h.Do(func() error {
		l, err := netlink.LinkByName(Dev)
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: ip.AsSlice(), HardwareAddr: mac})
	})
}

// Sysctl sets a variable of the host's network, such as "net/ipv4/ip_forward".
func (h *Host) Sysctl(path, value string) {
	h.t.Helper()
	h.Do(func() error { return sysctl(path, value) })
}

// sysctl: what /proc/sys/net shows depends on the thread that opens it.
func sysctl(path, value string) error {
	return os.WriteFile("/proc/sys/"+path, []byte(value), 0o644)
}
