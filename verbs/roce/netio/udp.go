// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// UDPOptions of ListenUDP. The zero value takes whatever the kernel has.
type UDPOptions struct {
	RecvBuffer, SendBuffer int  // bytes; 0: 4 MiB, or what the system allows
	NoGSO, NoGRO           bool // one system call's datagram is one packet
}

const (
	recvSlots  = 16
	sendSlots  = 64
	slotBytes  = 64 << 10 // the longest a merged train can be
	wantBuffer = 4 << 20

	maxUDP       = 65507 // payload of an IPv4 datagram
	trainPackets = 64    // UDP_MAX_SEGMENTS of linux/udp.h
)

// udpPort is a UDP socket, driven by raw batched system calls: the runtime's
// poller costs eight microseconds a round trip more.
type udpPort struct {
	fd    int
	local netip.AddrPort
	v6    bool
	zone  uint32
	caps  Caps
	stats Stats

	arena []byte // recvSlots of slotBytes
	in    *batch
	want  int // messages asked for at once: what a lone packet costs depends on it
	out   *batch
}

// ListenUDP opens a socket on local, which must be one address of this machine.
func ListenUDP(local netip.AddrPort, o UDPOptions) (Port, error) {
	if !local.IsValid() || local.Addr().IsUnspecified() {
		return nil, fmt.Errorf("listen on %v: RoCE needs one address, the packets' checksum covers it", local)
	}
	p := &udpPort{v6: local.Addr().Unmap().Is6(), zone: zoneIndex(local.Addr()), want: 1}
	family := unix.AF_INET
	if p.v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open UDP socket: %w", err)
	}
	p.fd = fd
	if err := p.setUp(local, o); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on %v: %w", local, err)
	}
	return p, nil
}

func (p *udpPort) setUp(local netip.AddrPort, o UDPOptions) error {
	if err := p.setOptions(o); err != nil {
		return err
	}
	if err := p.bind(local); err != nil {
		return err
	}
	arena, err := unix.Mmap(-1, 0, recvSlots*slotBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("receive arena: %w", err)
	}
	p.arena, p.in, p.out = arena, newBatch(recvSlots), newBatch(sendSlots)
	for i := range recvSlots {
		p.in.slots[i].iov.Base = &arena[i*slotBytes]
		p.in.slots[i].iov.SetLen(slotBytes)
	}
	return nil
}

func (p *udpPort) bind(local netip.AddrPort) error {
	addr := netip.AddrPortFrom(local.Addr().Unmap().WithZone(""), local.Port())
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(addr.Port())}
	if p.v6 {
		sa = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16(), ZoneId: p.zone}
	} else {
		sa.(*unix.SockaddrInet4).Addr = addr.Addr().As4()
	}
	if err := unix.Bind(p.fd, sa); err != nil {
		return err
	}
	got, err := unix.Getsockname(p.fd)
	if err != nil {
		return err
	}
	port := 0
	switch sa := got.(type) {
	case *unix.SockaddrInet4:
		port = sa.Port
	case *unix.SockaddrInet6:
		port = sa.Port
	}
	p.local = netip.AddrPortFrom(addr.Addr(), uint16(port))
	return nil
}

func (p *udpPort) Local() netip.AddrPort { return p.local }
func (p *udpPort) Caps() Caps            { return p.caps }
func (p *udpPort) Stats() Stats          { return p.stats }
func (p *udpPort) FD() int               { return p.fd }

func (p *udpPort) Close() error {
	err := unix.Close(p.fd)
	p.fd = -1
	return err
}

func (p *udpPort) Recv(ds []Datagram) (int, error) {
	ask := min(len(ds), p.want)
	for i := range ask {
		h := &p.in.hdrs[i].hdr
		h.Namelen, h.Flags = nameLen, 0
		h.SetControllen(controlLen)
	}
	n, errno := mmsg(unix.SYS_RECVMMSG, p.fd, p.in.hdrs[:ask], unix.MSG_DONTWAIT)
	switch {
	case errno == unix.EAGAIN:
		p.want = 1
		return 0, nil
	case errno != 0:
		return 0, fmt.Errorf("receive on %v: %w", p.local, errno)
	case n == p.want:
		p.want = min(2*p.want, recvSlots)
	case n < p.want/2:
		p.want = max(1, p.want/2)
	}
	for i := range n {
		ds[i] = p.received(i)
	}
	return n, nil
}

func (p *udpPort) received(i int) Datagram {
	h := &p.in.hdrs[i]
	d := Datagram{Peer: p.in.slots[i].peer(p.v6), Data: p.arena[i*slotBytes:][:h.len:h.len]}
	if seg := p.in.segment(i); seg > 0 && seg < len(d.Data) {
		d.Segment = seg
	}
	if h.hdr.Flags&unix.MSG_TRUNC != 0 {
		d.Data = d.Data[:0]
		p.stats.Ignored++
	}
	p.stats.received(&d)
	return d
}

func (p *udpPort) Send(ds []Datagram) (int, error) {
	done := 0
	for done < len(ds) {
		k := min(len(ds)-done, sendSlots)
		for i := range k {
			p.fill(i, &ds[done+i])
		}
		n, errno := mmsg(unix.SYS_SENDMMSG, p.fd, p.out.hdrs[:k], unix.MSG_DONTWAIT)
		switch {
		case errno == 0:
			for i := range n {
				p.stats.sent(&ds[done+i])
			}
			done += n
		case errno == unix.EAGAIN || errno == unix.ENOBUFS:
			return done, ErrFull
		default:
			p.refused(&ds[done], errno)
			done++
		}
	}
	return done, nil
}

func (p *udpPort) fill(i int, d *Datagram) {
	s, h := &p.out.slots[i], &p.out.hdrs[i].hdr
	h.Namelen = s.setPeer(d.Peer, p.v6, p.zone)
	s.iov.Base = unsafe.SliceData(d.Data)
	s.iov.SetLen(len(d.Data))
	seg := d.Segment
	if seg >= len(d.Data) {
		seg = 0
	}
	p.out.setSegment(i, seg)
}

// refused drops a datagram. A device without checksum offload refuses trains
// (EIO), and so does a packet size it cannot carry (EINVAL): packets then go
// one by one, and the peer's retries bring back what was in this train.
func (p *udpPort) refused(d *Datagram, errno unix.Errno) {
	p.stats.SendErrors++
	if d.Segment > 0 && (errno == unix.EIO || errno == unix.EINVAL) {
		p.caps.TrainLen = 1
	}
}
