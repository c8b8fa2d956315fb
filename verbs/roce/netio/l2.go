// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/verbs/roce/frame"
)

// L2Options of ListenL2: one of TAP and Interface.
type L2Options struct {
	TAP       string // name of a TAP whose other end we are
	Interface string // of an interface that we share by a packet socket
	MAC       frame.MAC
	Gateway   netip.Addr   // for peers that are not in Prefix
	Prefix    netip.Prefix // the segment's; the zero value: everybody is on it
}

// virtio_net_hdr of linux/virtio_net.h: what a packet socket puts before each
// frame, so that a train that the sender's kernel left whole is known as one.
const (
	vnetLen   = 10
	vnetUDPL4 = 5 // VIRTIO_NET_HDR_GSO_UDP_L4
)

const frameBytes = vnetLen + frame.MaxHeader + 64<<10

// l2Port sends and receives frames of its own: with an address that no kernel
// has, it does the kernel's part.
type l2Port struct {
	fd    int
	host  frame.Host
	local netip.AddrPort
	opt   L2Options
	vnet  int // bytes before each frame
	caps  Caps
	stats Stats

	bufs  [][]byte // one for each datagram of a Recv
	out   [vnetLen + frame.MaxHeader]byte
	near  neighbors
	start time.Time
}

// ListenL2 opens a port with its own IP and MAC address on a TAP or an Ethernet
// interface. It answers ARP and neighbor discovery.
func ListenL2(local netip.AddrPort, o L2Options) (Port, error) {
	if !local.IsValid() || local.Addr().IsUnspecified() || local.Port() == 0 {
		return nil, fmt.Errorf("listen on %v: want an address and a port", local)
	}
	local = netip.AddrPortFrom(local.Addr().Unmap().WithZone(""), local.Port())
	if o.MAC == (frame.MAC{}) {
		o.MAC = macOf(local.Addr())
	}
	p := &l2Port{local: local, opt: o, host: frame.Host{MAC: o.MAC, Addrs: []netip.Addr{local.Addr()}}, start: time.Now()}
	mtu, err := p.open()
	if err != nil {
		return nil, fmt.Errorf("listen on %v by frames: %w", local, err)
	}
	ip := 28
	if local.Addr().Is6() {
		ip = 48
	}
	p.caps = Caps{MaxPacket: mtu - ip, TrainLen: 1, Exact: true, RecvBuffer: wantBuffer / 4}
	p.near.init()
	for range recvSlots {
		p.bufs = append(p.bufs, make([]byte, frameBytes))
	}
	return p, nil
}

// macOf makes a locally administered MAC address of an IP address.
func macOf(a netip.Addr) frame.MAC {
	b := a.As16()
	return frame.MAC{0x02, b[11] ^ b[8], b[12], b[13], b[14], b[15]}
}

func (p *l2Port) Local() netip.AddrPort { return p.local }
func (p *l2Port) Caps() Caps            { return p.caps }
func (p *l2Port) Stats() Stats          { return p.stats }
func (p *l2Port) FD() int               { return p.fd }
func (p *l2Port) Close() error          { return unix.Close(p.fd) }

// framesAtOnce bounds a Recv on a segment whose frames are others'.
const framesAtOnce = 8 * recvSlots

// Recv takes frames until there are enough of ours or there are none; those of
// neighbor discovery are answered on the way.
func (p *l2Port) Recv(ds []Datagram) (int, error) {
	n := 0
	for frames := 0; n < min(len(ds), len(p.bufs)) && frames < framesAtOnce; frames++ {
		k, err := rawRead(p.fd, p.bufs[n])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return n, nil
		case err != nil:
			return n, fmt.Errorf("receive on %v: %w", p.local, err)
		}
		if p.received(&ds[n], p.bufs[n][:k]) {
			p.stats.received(&ds[n])
			n++
		}
	}
	return n, nil
}

// received reads one frame; true: it is a datagram for us.
func (p *l2Port) received(d *Datagram, b []byte) bool {
	if len(b) < p.vnet {
		return false
	}
	segment := 0
	if p.vnet > 0 && b[1] == vnetUDPL4 {
		segment = int(binary.LittleEndian.Uint16(b[4:]))
	}
	f := b[p.vnet:]
	var u frame.Datagram
	if err := u.Parse(f); err != nil {
		p.neighborly(f)
		return false
	}
	if u.Dst != p.local || u.DstMAC != p.host.MAC {
		p.stats.Ignored++
		return false
	}
	p.learn(u.Src.Addr(), u.SrcMAC)
	*d = Datagram{Peer: u.Src, Data: u.Payload, ID: u.ID, Flags: u.Flags}
	if segment > 0 && segment < len(u.Payload) {
		d.Segment = segment
	}
	return true
}

// neighborly answers questions about our address and notes answers to ours.
func (p *l2Port) neighborly(f []byte) {
	if a, mac, ok := frame.Neighbor(f); ok {
		p.learn(a, mac)
	}
	b := make([]byte, p.vnet+frame.MaxNeighbor)
	if n := p.host.Answer(b[p.vnet:], f); n > 0 {
		_ = rawWrite(p.fd, b[:p.vnet+n], nil)
	}
}

// Send sends one frame a packet.
func (p *l2Port) Send(ds []Datagram) (int, error) {
	for i := range ds {
		err := p.send(&ds[i])
		switch {
		case err == nil:
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS):
			return i, ErrFull
		default:
			p.stats.SendErrors++
		}
	}
	return len(ds), nil
}

// errLost: nobody can be asked where the packet belongs.
var errLost = errors.New("neighbor of another address family")

func (p *l2Port) send(d *Datagram) error {
	hop := p.hop(d.Peer.Addr())
	mac, ok := p.near.find(hop)
	if !ok {
		return p.ask(hop, d)
	}
	return p.transmit(mac, d)
}

func (p *l2Port) transmit(mac frame.MAC, d *Datagram) error {
	u := frame.Datagram{SrcMAC: p.host.MAC, DstMAC: mac, Src: p.local, Dst: d.Peer}
	n := u.PutHeader(p.out[p.vnet:], len(d.Data))
	if err := rawWrite(p.fd, p.out[:p.vnet+n], d.Data); err != nil {
		return err
	}
	p.stats.sent(d)
	return nil
}

// hop returns whose MAC address frames to a have.
func (p *l2Port) hop(a netip.Addr) netip.Addr {
	if p.opt.Prefix.IsValid() && p.opt.Gateway.IsValid() && !p.opt.Prefix.Contains(a) {
		return p.opt.Gateway
	}
	return a
}

// ask asks the segment for a neighbor and keeps a packet for it.
func (p *l2Port) ask(a netip.Addr, d *Datagram) error {
	p.near.keep(a, d)
	if !p.near.mayAsk(a, time.Since(p.start)) {
		return nil
	}
	b := make([]byte, p.vnet+frame.MaxNeighbor)
	n := p.host.Ask(b[p.vnet:], a)
	if n == 0 {
		return errLost
	}
	return rawWrite(p.fd, b[:p.vnet+n], nil)
}

// learn notes where a neighbor is, and sends what waited for that.
func (p *l2Port) learn(a netip.Addr, mac frame.MAC) {
	for _, d := range p.near.learn(a, mac) {
		if err := p.transmit(mac, &d); err != nil {
			p.stats.SendErrors++
		}
	}
}

// rawRead and rawWrite are system calls that do not wait.
func rawRead(fd int, b []byte) (int, error) {
	for {
		n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if e == 0 {
			return int(n), nil
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

func rawWrite(fd int, head, payload []byte) error {
	iov := [2]unix.Iovec{{Base: unsafe.SliceData(head)}, {Base: unsafe.SliceData(payload)}}
	iov[0].SetLen(len(head))
	iov[1].SetLen(len(payload))
	for {
		_, _, e := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), 2)
		if e == 0 {
			return nil
		}
		if e != unix.EINTR {
			return e
		}
	}
}
