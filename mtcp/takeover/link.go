// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is an interface that service addresses come to and go from. All that
// takes long to open and close is open. It stays in the network namespace of
// the thread that opened it.
type Link struct {
	dev    string
	index  int
	mac    net.HardwareAddr
	nl     *netlink.Handle
	guard  *guard
	packet int // AF_PACKET; to close one costs 10 ms
	icmp   int // of IPv6; -1 where there is none

	promote []*os.File // promote_secondaries, of all and of dev
	tracked *os.File   // how many connections are tracked; nil without tracking

	closing   chan struct{}
	repeating sync.WaitGroup
}

// Open finds an interface and sets up the guard on this host, empty.
func Open(dev string) (*Link, error) {
	l := &Link{dev: dev, packet: -1, icmp: -1, closing: make(chan struct{})}
	if err := l.open(); err != nil {
		l.Close()
		return nil, fmt.Errorf("takeover on %s: %w", dev, err)
	}
	return l, nil
}

func (l *Link) open() (err error) {
	if l.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER); err != nil {
		return err
	}
	if err := l.openSysctls(); err != nil {
		return err
	}
	link, err := l.nl.LinkByName(l.dev)
	if err != nil {
		return err
	}
	l.index, l.mac = link.Attrs().Index, link.Attrs().HardwareAddr
	if len(l.mac) != 6 {
		return fmt.Errorf("no Ethernet: hardware address %q", l.mac)
	}
	// Protocol 0: it receives nothing.
	if l.packet, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	if l.icmp, err = openICMP(l.index); err != nil {
		return err
	}
	l.guard, err = newGuard()
	return err
}

// openSysctls opens what may have to be read later, on another thread: a file
// under /proc/sys belongs to the namespace of the thread that opened it.
func (l *Link) openSysctls() error {
	for _, dev := range []string{"all", l.dev} {
		f, err := os.Open("/proc/sys/net/ipv4/conf/" + dev + "/promote_secondaries")
		if err != nil {
			return err
		}
		l.promote = append(l.promote, f)
	}
	f, err := os.Open("/proc/sys/net/netfilter/nf_conntrack_count")
	if err == nil {
		l.tracked = f
	}
	return nil
}

// sysctl reads an opened variable.
func sysctl(f *os.File) string {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	if n == 0 && err != nil {
		return ""
	}
	return strings.TrimSpace(string(b[:n]))
}

// Close takes the guard off, whatever it guards.
func (l *Link) Close() error {
	close(l.closing)
	l.repeating.Wait()
	var err error
	if l.guard != nil {
		err = l.guard.close()
	}
	for _, fd := range []int{l.packet, l.icmp} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, f := range append(l.promote, l.tracked) {
		if f != nil {
			f.Close()
		}
	}
	if l.nl != nil {
		l.nl.Close()
	}
	return err
}

// ErrNoAddress: the interface does not have it.
var ErrNoAddress = errors.New("no such address")

// ErrHasAddress: the interface has it already.
var ErrHasAddress = errors.New("address is there already")

// SharedError is an address whose removal would take others along.
type SharedError struct {
	Addr   netip.Addr
	Others []netip.Addr
}

func (e *SharedError) Error() string {
	return fmt.Sprintf("removing %s would remove %v, too: set promote_secondaries, or give it a subnet of its own", e.Addr, e.Others)
}

// Has reports whether the interface has an address.
func (l *Link) Has(ip netip.Addr) (bool, error) {
	all, err := l.list(ip)
	return slices.ContainsFunc(all, func(a netlink.Addr) bool { return addrOf(&a) == ip }), err
}

// find returns the interface's address ip as netlink describes it.
func (l *Link) find(ip netip.Addr) (*netlink.Addr, error) {
	all, err := l.list(ip)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if addrOf(&all[i]) == ip {
			return &all[i], l.alone(ip, all, &all[i])
		}
	}
	return nil, fmt.Errorf("%s: %w", ip, ErrNoAddress)
}

func (l *Link) list(ip netip.Addr) ([]netlink.Addr, error) {
	link, err := l.nl.LinkByIndex(l.index)
	if err != nil {
		return nil, err
	}
	family := netlink.FAMILY_V6
	if ip.Is4() {
		family = netlink.FAMILY_V4
	}
	return l.nl.AddrList(link, family)
}

// alone refuses a primary address with secondaries (net/ipv4/devinet.c,
// __inet_del_ifa).
func (l *Link) alone(ip netip.Addr, all []netlink.Addr, a *netlink.Addr) error {
	if !ip.Is4() || a.Flags&unix.IFA_F_SECONDARY != 0 {
		return nil
	}
	var others []netip.Addr
	for i := range all {
		if all[i].Flags&unix.IFA_F_SECONDARY != 0 && a.Contains(all[i].IP) && all[i].Mask.String() == a.Mask.String() {
			others = append(others, addrOf(&all[i]))
		}
	}
	promotes := func(f *os.File) bool { return sysctl(f) != "0" }
	if len(others) == 0 || slices.ContainsFunc(l.promote, promotes) {
		return nil
	}
	return &SharedError{ip, others}
}

func addrOf(a *netlink.Addr) netip.Addr {
	ip, _ := netip.AddrFromSlice(a.IP)
	return ip.Unmap()
}

func (l *Link) add(a *netlink.Addr) error {
	if err := l.nl.AddrAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: l.index}}, a); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add %s: %w", a.IPNet, ErrHasAddress)
		}
		return fmt.Errorf("add %s: %w", a.IPNet, err)
	}
	return l.settle(addrOf(a))
}

// settleBound is for a kernel worker to run.
const settleBound = 2 * time.Second

// settle waits until an IPv6 address is one: the kernel leaves the last step to
// a worker (net/ipv6/addrconf.c, addrconf_dad_work), and drops what comes before,
// such as the answer to the first neighbour solicitation.
func (l *Link) settle(ip netip.Addr) error {
	if ip.Is4() {
		return nil
	}
	for end := time.Now().Add(settleBound); ; time.Sleep(50 * time.Microsecond) {
		routes, err := l.nl.RouteGet(ip.AsSlice())
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("add %s: it has no route after %v: %w", ip, settleBound, errors.Join(err, ErrNoAddress))
		}
	}
}

func (l *Link) del(a *netlink.Addr) error {
	if err := l.nl.AddrDel(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: l.index}}, a); err != nil {
		return fmt.Errorf("remove %s: %w", a.IPNet, err)
	}
	return nil
}

// newAddr is an address without duplicate address detection, which would keep
// an IPv6 address from being used for a second.
func newAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}
