// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"net/netip"

	"lazystate/backdoor/uapi"
)

// sizes is what a box is made of. All but the snapshots are powers of two.
type sizes struct {
	snap, log, hold, ring uint64
	procs, chans          uint64
}

// sizes fills in what the configuration leaves open.
func (c Config) sizes() (sizes, error) {
	s := sizes{
		snap: uapi.CboxSnapLen, log: uapi.CboxRingLen, hold: uapi.CboxRingLen, ring: uapi.CboxRingLen,
		procs: max(1, uint64(c.Processes)), chans: 2 * uint64(c.Channels),
	}
	for _, f := range []struct {
		name string
		n    int
		to   *uint64
	}{{"receive log", c.Log, &s.log}, {"held output", c.Hold, &s.hold}, {"channel", c.Ring, &s.ring}} {
		switch {
		case f.n < 0 || f.n > uapi.CboxLenMax/4:
			return sizes{}, &SizeError{f.name, uint64(f.n), uapi.CboxLenMax / 4}
		case f.n > 0:
			*f.to = max(64, uint64(1)<<bits.Len64(uint64(f.n)-1))
		}
	}
	if c.Snapshot < 0 || c.Snapshot > uapi.CboxLenMax/4 {
		return sizes{}, &SizeError{"snapshot", uint64(c.Snapshot), uapi.CboxLenMax / 4}
	}
	head := uint64(uapi.CboxSnapSize) + s.chans*uapi.CboxEndSize
	if c.Snapshot > 0 {
		s.snap = align(head+uint64(c.Snapshot), 64)
	}
	switch {
	case len(c.Name) >= uapi.CboxName:
		return sizes{}, &SizeError{"name of a process", uint64(len(c.Name)), uapi.CboxName - 1}
	case s.procs > uapi.CboxProcsMax:
		return sizes{}, &SizeError{"processes", s.procs, uapi.CboxProcsMax}
	case s.chans > uapi.CboxChansMax:
		return sizes{}, &SizeError{"channels", s.chans / 2, uapi.CboxChansMax / 2}
	case s.snap < head:
		return sizes{}, &SizeError{"positions in a snapshot", head, s.snap}
	}
	return s, nil
}

func align(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// place lays the areas out one behind the other, rings on pages of their own:
// a page that is never touched costs nothing.
func (s sizes) place() (uapi.CboxHead, []uapi.CboxProc, []uapi.CboxChan, error) {
	h := uapi.CboxHead{Magic: uapi.CboxMagic, Major: uapi.CboxMajor, Minor: uapi.CboxMinor}
	end := uint64(uapi.CboxHeadSize)
	table := func(n, size uint64) uapi.CboxTable {
		t := uapi.CboxTable{Off: uint32(end), Count: uint16(n), Size: uint16(size)}
		end += n * size
		return t
	}
	h.Procs = table(s.procs, uapi.CboxProcSize)
	h.Chans = table(s.chans, uapi.CboxChanSize)
	h.Opts = table(uapi.CboxOpts, uapi.CboxOptSize)
	h.Acts = table(uapi.CboxActs, uapi.CboxActSize)
	h.HeadLen = uint32(end)
	area := func(n, to uint64) uapi.CboxArea {
		a := uapi.CboxArea{Off: align(end, to), Len: n}
		end = a.Off + n
		return a
	}
	procs := make([]uapi.CboxProc, s.procs)
	for i := range procs {
		to := uint64(64)
		if s.snap >= pageSize {
			to = pageSize
		}
		procs[i] = uapi.CboxProc{SnapOff: area(2*s.snap, to).Off, SnapLen: uint32(s.snap), Parent: uapi.CboxNone}
	}
	h.Log, h.Hold = area(s.log, pageSize), area(s.hold, pageSize)
	chans := make([]uapi.CboxChan, s.chans)
	for i := range chans {
		chans[i].Ring = area(s.ring, pageSize)
	}
	h.Len = align(end, pageSize)
	if h.Len > uapi.CboxLenMax {
		return h, nil, nil, &SizeError{"continuation box", h.Len, uapi.CboxLenMax}
	}
	return h, procs, chans, nil
}

// write puts a new box into m: tables first, the head's magic last.
func write(m memory, h *uapi.CboxHead, procs []uapi.CboxProc, chans []uapi.CboxChan) {
	for i := range procs {
		procs[i].Put(m[int(h.Procs.Off)+i*uapi.CboxProcSize:])
	}
	for i := range chans {
		chans[i].Put(m[int(h.Chans.Off)+i*uapi.CboxChanSize:])
	}
	h.CRC = 0
	raw := h.Encode()
	h.CRC = checksum(raw[:uapi.CboxHeadCRCOff])
	binary.LittleEndian.PutUint32(raw[uapi.CboxHeadCRCOff:], h.CRC)
	copy(m[8:], raw[8:])
	m.word64(uapi.CboxHeadMagicOff).Store(h.Magic)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

const (
	familyIPv4 = 2
	familyIPv6 = 10
)

func putAddr(a netip.AddrPort) uapi.CboxAddr {
	out := uapi.CboxAddr{Port: a.Port()}
	ip := a.Addr().Unmap()
	switch {
	case ip.Is4():
		out.Family = familyIPv4
		b := ip.As4()
		copy(out.Addr[:], b[:])
	case ip.Is6():
		out.Family = familyIPv6
		out.Addr = ip.As16()
		out.Scope = scope(ip.Zone())
	}
	return out
}

func addrOf(a uapi.CboxAddr) netip.AddrPort {
	switch a.Family {
	case familyIPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.Addr[:4])), a.Port)
	case familyIPv6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).WithZone(zone(a.Scope)), a.Port)
	}
	return netip.AddrPort{}
}
