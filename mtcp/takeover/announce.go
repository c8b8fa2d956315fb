// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Announce tells the network that ip is at this interface now.
func (l *Link) Announce(ip netip.Addr) error {
	var err error
	if ip.Is4() {
		err = unix.Sendto(l.packet, gratuitousARP(l.mac, ip), 0, &unix.SockaddrLinklayer{Ifindex: l.index})
	} else {
		err = l.advertise(ip)
	}
	if err != nil {
		return fmt.Errorf("announce %s on %s: %w", ip, l.dev, err)
	}
	return nil
}

// How often, and how soon, an announcement is repeated: over six seconds.
const (
	repeats = 5
	repeat  = 200 * time.Millisecond
)

// Repeat announces an address again, less and less often, as long as it is here:
// nobody answers an announcement, and who has not heard it sends on to where the
// address was. It does so beside the caller, until Close.
func (l *Link) Repeat(ip netip.Addr) {
	l.repeating.Go(func() {
		for i := range repeats {
			select {
			case <-time.After(repeat << i):
			case <-l.closing:
				return
			}
			all, err := l.list(ip)
			if err != nil || !slices.ContainsFunc(all, func(a netlink.Addr) bool { return addrOf(&a) == ip }) {
				return
			}
			_ = l.Announce(ip) // the next one may get through
		}
	})
}

// gratuitousARP is a request for one's own address (RFC 5227, section 3). A
// reply would be ignored where the entry is younger than its locktime, unless
// its target hardware address were the sender's (net/ipv4/arp.c, arp_is_garp).
func gratuitousARP(mac net.HardwareAddr, ip netip.Addr) []byte {
	b := append(make([]byte, 0, 42), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(append(b, mac...), unix.ETH_P_ARP>>8, unix.ETH_P_ARP&0xff)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, lengths, request
	b = append(append(b, mac...), ip.AsSlice()...)
	return append(append(b, 0, 0, 0, 0, 0, 0), ip.AsSlice()...)
}

// openICMP opens a raw socket of ICMPv6, for which the kernel computes checksums.
func openICMP(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("raw socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, blockAll()), // it receives nothing
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0),
	)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("raw socket: %w", err)
	}
	return fd, nil
}

func blockAll() *unix.ICMPv6Filter {
	f := &unix.ICMPv6Filter{}
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	return f
}

// advertise sends a neighbour advertisement to all nodes that overrides what
// they have (RFC 4861, sections 4.4 and 7.2.6).
func (l *Link) advertise(ip netip.Addr) error {
	if l.icmp < 0 {
		return unix.EAFNOSUPPORT
	}
	return unix.Sendmsg(l.icmp, unsolicitedNA(l.mac, ip), pktinfo(ip, l.index), &unix.SockaddrInet6{Addr: netip.MustParseAddr("ff02::1").As16(), ZoneId: uint32(l.index)}, 0)
}

func unsolicitedNA(mac net.HardwareAddr, ip netip.Addr) []byte {
	b := append(make([]byte, 0, 32), 136, 0, 0, 0, 1<<5, 0, 0, 0) // override
	b = append(append(b, ip.AsSlice()...), 2, 1)                  // target link-layer address
	return append(b, mac...)
}

// pktinfo is the control message that chooses a packet's source.
func pktinfo(ip netip.Addr, index int) []byte {
	b := make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	p := (*unix.Inet6Pktinfo)(unsafe.Pointer(&b[unix.CmsgLen(0)]))
	p.Addr, p.Ifindex = ip.As16(), uint32(index)
	return b
}
