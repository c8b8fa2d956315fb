// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

const (
	nameLen    = unix.SizeofSockaddrInet6
	controlLen = 64 // room for one int in a cmsghdr, and for what an odd kernel adds
)

// slot is what one message of a batch points at.
type slot struct {
	iov     unix.Iovec
	name    [nameLen]byte
	control [controlLen]byte
}

// batch is an array of messages for one system call.
type batch struct {
	hdrs  []mmsghdr
	slots []slot
}

func newBatch(n int) *batch {
	b := &batch{hdrs: make([]mmsghdr, n), slots: make([]slot, n)}
	for i := range b.hdrs {
		h, s := &b.hdrs[i].hdr, &b.slots[i]
		h.Name, h.Iov, h.Iovlen = &s.name[0], &s.iov, 1
		h.Control = &s.control[0]
	}
	return b
}

// mmsg is sendmmsg or recvmmsg on a non-blocking socket. A raw system call: it
// does not wait, so the scheduler need not hear of it, and that saves a third
// of a microsecond.
func mmsg(trap uintptr, fd int, hdrs []mmsghdr, flags uintptr) (int, unix.Errno) {
	for {
		n, _, e := unix.RawSyscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&hdrs[0])), uintptr(len(hdrs)), flags, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// setSegment writes the control message that makes a send a train.
func (b *batch) setSegment(i, segment int) {
	h := &b.hdrs[i].hdr
	if segment == 0 {
		h.Controllen = 0
		return
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b.slots[i].control[0]))
	c.Level, c.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	c.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b.slots[i].control[unix.CmsgLen(0):], uint16(segment))
	h.SetControllen(unix.CmsgSpace(2))
}

// segment returns the size of the packets of a received train, 0 if it is none.
func (b *batch) segment(i int) int {
	n := b.hdrs[i].hdr.Controllen
	if n < uint64(unix.CmsgLen(4)) || n > controlLen {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b.slots[i].control[0]))
	if c.Level != unix.SOL_UDP || c.Type != unix.UDP_GRO {
		return 0
	}
	return int(int32(binary.NativeEndian.Uint32(b.slots[i].control[unix.CmsgLen(0):])))
}

// setPeer writes a socket address and returns its length. zone is the interface
// of link-local addresses.
func (s *slot) setPeer(p netip.AddrPort, v6 bool, zone uint32) uint32 {
	if !v6 {
		binary.NativeEndian.PutUint16(s.name[:], unix.AF_INET)
		binary.BigEndian.PutUint16(s.name[2:], p.Port())
		a := p.Addr().As4()
		copy(s.name[4:], a[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(s.name[:], unix.AF_INET6)
	binary.BigEndian.PutUint16(s.name[2:], p.Port())
	binary.NativeEndian.PutUint32(s.name[4:], 0)
	a := p.Addr().As16()
	copy(s.name[8:], a[:])
	if !p.Addr().IsLinkLocalUnicast() {
		zone = 0
	}
	binary.NativeEndian.PutUint32(s.name[24:], zone)
	return unix.SizeofSockaddrInet6
}

// peer reads a socket address; link-local ones come without their zone, as a
// GID has none.
func (s *slot) peer(v6 bool) netip.AddrPort {
	port := binary.BigEndian.Uint16(s.name[2:])
	if v6 {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s.name[8:24])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.name[4:8])), port)
}

func zoneIndex(a netip.Addr) uint32 {
	if a.Zone() == "" {
		return 0
	}
	ifc, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(ifc.Index)
}
