// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lazystate/internal/sockaddr"
	"lazystate/mtcp/wire"
)

// resolveFor is how long a neighbor's link address is waited for.
const resolveFor = time.Second

// Sender puts whole segments on the wire: those of the handshake, which no TCP
// sends. They leave below netfilter (AF_PACKET), whose connection tracking would
// drop a SYN+ACK that answers nothing it has seen, and through the hooks, which
// let options of M-TCP pass. Opened once: closing such a socket takes
// milliseconds.
type Sender struct {
	fd int
	nl *netlink.Handle
}

// NewSender opens a sender in the network namespace of the calling thread.
func NewSender() (*Sender, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // 0: it receives nothing
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &Sender{fd, nl}, nil
}

// Send sends segments to one address where the kernel would route it, divided
// into what the link takes.
func (s *Sender) Send(segs ...wire.Segment) error {
	if len(segs) == 0 {
		return nil
	}
	to, mtu, err := s.way(segs[0].Dst.Addr().Unmap())
	for _, seg := range segs {
		for _, piece := range seg.Split(mtu) {
			var packet []byte
			if err == nil {
				packet, err = piece.Append(nil)
			}
			if err == nil {
				err = unix.Sendto(s.fd, packet, 0, to)
			}
			if err != nil {
				return fmt.Errorf("send to %s: %w", seg.Dst, err)
			}
		}
	}
	return nil
}

// way is the link address of the next hop to an address, and the link's MTU.
func (s *Sender) way(dst netip.Addr) (*unix.SockaddrLinklayer, int, error) {
	r, err := route(s.nl, dst)
	if err != nil {
		return nil, 0, err
	}
	hop := dst
	if gw, ok := netip.AddrFromSlice(r.Gw); ok {
		hop = gw.Unmap()
	}
	l, err := s.nl.LinkByIndex(r.LinkIndex)
	if err != nil {
		return nil, 0, fmt.Errorf("interface %d: %w", r.LinkIndex, err)
	}
	mac, err := s.resolve(l, hop)
	if err != nil {
		return nil, 0, err
	}
	to := &unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_IP), Ifindex: r.LinkIndex, Halen: uint8(len(mac))}
	if dst.Is6() {
		to.Protocol = swap(unix.ETH_P_IPV6)
	}
	copy(to.Addr[:], mac)
	return to, l.Attrs().MTU, nil
}

// resolve returns a neighbor's link address, nil where a link has none.
func (s *Sender) resolve(l netlink.Link, hop netip.Addr) (net.HardwareAddr, error) {
	if headerLen(l) == 0 || l.Attrs().Flags&net.FlagLoopback != 0 {
		return l.Attrs().HardwareAddr, nil
	}
	for end := time.Now().Add(resolveFor); ; time.Sleep(time.Millisecond) {
		mac, err := s.neighbor(l.Attrs().Index, hop)
		if mac != nil || err != nil {
			return mac, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("neighbor %s: %w", hop, unix.EHOSTUNREACH)
		}
	}
}

// neighbor looks into the kernel's table and has it ask where it does not know.
func (s *Sender) neighbor(index int, hop netip.Addr) (net.HardwareAddr, error) {
	family := unix.AF_INET
	if hop.Is6() {
		family = unix.AF_INET6
	}
	all, err := s.nl.NeighList(index, family)
	if err != nil {
		return nil, fmt.Errorf("neighbors: %w", err)
	}
	const known = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT | unix.NUD_NOARP
	for _, n := range all {
		if a, ok := netip.AddrFromSlice(n.IP); ok && a.Unmap() == hop && n.State&known != 0 {
			return n.HardwareAddr, nil
		}
	}
	ask := &netlink.Neigh{LinkIndex: index, Family: family, IP: hop.AsSlice(), Flags: unix.NTF_USE}
	if err := s.nl.NeighSet(ask); err != nil {
		return nil, fmt.Errorf("neighbor %s: %w", hop, err)
	}
	return nil, nil
}

// Close ends it.
func (s *Sender) Close() error {
	s.nl.Close()
	if err := unix.Close(s.fd); err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	return nil
}

// ReservePort binds a port of a client's address, so that the kernel gives it to
// no other connection; port 0 is any. It is the caller's until the descriptor is closed.
func ReservePort(a netip.AddrPort) (netip.AddrPort, int, error) {
	fd, err := unix.Socket(sockaddr.Family(a.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.AddrPort{}, -1, fmt.Errorf("reserve a port: %w", err)
	}
	port, err := bindAny(fd, sockaddr.Of(a))
	if err != nil {
		unix.Close(fd)
		return netip.AddrPort{}, -1, fmt.Errorf("reserve port %d of %s: %w", a.Port(), a.Addr(), err)
	}
	return netip.AddrPortFrom(a.Addr(), port), fd, nil
}

func bindAny(fd int, sa unix.Sockaddr) (uint16, error) {
	if err := unix.Bind(fd, sa); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(fd)
	switch n := name.(type) {
	case *unix.SockaddrInet4:
		return uint16(n.Port), err
	case *unix.SockaddrInet6:
		return uint16(n.Port), err
	}
	return 0, err
}
