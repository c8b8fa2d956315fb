// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"lazystate/backdoor/uapi"
	"lazystate/internal/seqnum"
)

// Box is an entry of the target's directory of continuation boxes (§3.6.2):
// where a session's box lies, and its socket. What is in the box is for others.
type Box struct {
	Entry      int    // place in the directory
	State      uint32 // uapi.BoxNew, BoxBound
	UID        uint32 // who made it
	Generation uint64 // no two boxes of one boot have the same

	// Pages are the addresses of the box's pages; 0: never touched.
	Pages []uint64

	// With BoxBound: the address of its struct sock, which is nobody else's as
	// long as the box is there, and what the kernel said of it when it was bound.
	Sock          uint64
	Local, Remote netip.AddrPort
	NetNS         uint32
	// Sequence numbers at which the socket's bytes_received and bytes_acked are 0.
	RcvFirst, SndFirst seqnum.Value

	// Procs have the box mapped, by process id in the initial namespace; more
	// may have it than fit. A hint: it is not read with the rest in one moment.
	Procs []uint32
	More  bool

	// Err is why this one cannot be used, if it cannot: the others may.
	Err error
}

// Len is the box's, rounded up to pages.
func (b *Box) Len() uint64 { return uint64(len(b.Pages)) * pageSize }

// Reads returns what has to be read for buf to be filled with what lies at off of
// the box, for Target.ReadVA: any number of them, of any boxes, make one batch.
// Pages that nobody has touched are zeros and need no read.
func (b *Box) Reads(off uint64, buf []byte) ([]VARead, error) {
	if off > b.Len() || uint64(len(buf)) > b.Len()-off {
		return nil, corrupt("continuation box", "%d bytes at %d of %d", len(buf), off, b.Len())
	}
	var reads []VARead
	for len(buf) > 0 {
		in := off % pageSize
		part := buf[:min(uint64(len(buf)), pageSize-in)]
		if page := b.Pages[off/pageSize]; page == 0 {
			clear(part)
		} else {
			reads = append(reads, VARead{VA: page + in, Buf: part})
		}
		buf, off = buf[len(part):], off+uint64(len(part))
	}
	return reads, nil
}

// directoryRead is the most that one operation asks of the directory.
const directoryRead = 256 << 10

// Boxes reads the directory of continuation boxes, in one batch. An entry that
// makes no sense has an Err; ErrNoRegion: the target has no boxes.
func (t *Target) Boxes(ctx context.Context) ([]Box, error) {
	r, err := t.Region(uapi.KindBoxes)
	if err != nil {
		return nil, err
	}
	if r.Len > maxDirectory {
		return nil, corrupt("directory of boxes", "%d bytes", r.Len)
	}
	buf := make([]byte, r.Len)
	var ops []Op
	for off := uint64(0); off < r.Len; off += directoryRead {
		ops = append(ops, r.Read(off, buf[off:min(off+directoryRead, r.Len)]))
	}
	if err := t.around(ctx, func() error { return t.Do(ctx, ops...) }); err != nil {
		return nil, fmt.Errorf("read the directory of boxes: %w", err)
	}
	return decodeBoxes(buf, t.BootID())
}

// maxDirectory is more than a target can have (boxes_mib of backdoor.ko).
const maxDirectory = 16 << 20

// decodeBoxes validates a copy of the region.
func decodeBoxes(b []byte, boot BootID) ([]Box, error) {
	var h uapi.Boxes
	if err := h.Decode(b); err != nil {
		return nil, corrupt("directory of boxes", "%v", err)
	}
	all := uapi.BoxesSize + uint64(h.Capacity)*uint64(h.EntrySize)
	switch {
	case h.Magic != uapi.BoxesMagic:
		return nil, corrupt("directory of boxes", "magic %#x", h.Magic)
	case BootID(h.BootID) != boot:
		return nil, corrupt("directory of boxes", "boot id %s", BootID(h.BootID))
	case h.EntrySize < uapi.BoxSize || h.EntrySize > pageSize || all > uint64(len(b)):
		return nil, corrupt("directory of boxes", "%d entries of %d bytes in %d", h.Capacity, h.EntrySize, len(b))
	case uint64(h.MapOff) < all || uint64(h.MapOff)+8*uint64(h.Slots) > uint64(len(b)):
		return nil, corrupt("directory of boxes", "map of %d words at %d in %d bytes", h.Slots, h.MapOff, len(b))
	}
	d := directory{b[h.MapOff:][:8*uint64(h.Slots)], make([]bool, h.Slots), map[uint64]uint64{}}
	var entries []boxEntry
	for i := range int(h.Capacity) {
		e := boxEntry{at: i}
		if err := e.Decode(b[uapi.BoxesSize+i*int(h.EntrySize):]); err != nil {
			return nil, corrupt("directory of boxes", "%v", err)
		}
		if e.State != uapi.BoxFree {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b boxEntry) int { return cmp.Compare(b.Generation, a.Generation) })
	out := make([]Box, len(entries))
	for i := range entries {
		out[i] = d.box(&entries[i])
	}
	slices.SortFunc(out, func(a, b Box) int { return cmp.Compare(a.Entry, b.Entry) })
	return out, nil
}

type boxEntry struct {
	at int
	uapi.Box
}

// directory hands out what boxes claim, the youngest first: of two that claim
// the same, that one has it.
type directory struct {
	pages   []byte // the map
	taken   []bool // by page
	sockets map[uint64]uint64
}

func (d *directory) box(e *boxEntry) Box {
	b := Box{Entry: e.at, State: e.State, UID: e.UID, Generation: e.Generation, More: e.More != 0}
	for _, p := range e.Procs {
		if p != 0 {
			b.Procs = append(b.Procs, p)
		}
	}
	switch e.State {
	case uapi.BoxNew:
	case uapi.BoxBound:
		b.Err = b.bind(&e.Box)
	default:
		b.Err = corrupt("box", "state %d", e.State)
	}
	if err := d.pagesOf(&b, e); err != nil {
		b.Err = err
	}
	if first, twice := d.sockets[b.Sock]; twice && b.Sock != 0 && b.Err == nil {
		b.Err = corrupt("box", "its socket at %#x is box %d's", b.Sock, first)
	}
	d.sockets[b.Sock] = b.Generation
	return b
}

// pagesOf takes from the map what is the box's.
func (d *directory) pagesOf(b *Box, e *boxEntry) error {
	from, n := uint64(e.First), uint64(e.Pages)
	if n == 0 || from+n > uint64(len(d.taken)) || slices.Contains(d.taken[from:from+n], true) {
		return corrupt("box", "%d pages from %d on, of %d, which others have or which are not", n, from, len(d.taken))
	}
	b.Pages = make([]uint64, n)
	for i := range b.Pages {
		d.taken[from+uint64(i)] = true
		b.Pages[i] = binary.LittleEndian.Uint64(d.pages[8*(from+uint64(i)):])
		if b.Pages[i]%pageSize != 0 {
			return corrupt("box", "a page at %#x", b.Pages[i])
		}
	}
	return nil
}

// bind takes what an entry says of its socket.
func (b *Box) bind(e *uapi.Box) error {
	b.Sock, b.NetNS = e.Sock, e.Netns
	b.RcvFirst, b.SndFirst = seqnum.Value(e.RcvFirst), seqnum.Value(e.SndFirst)
	var ok [2]bool
	b.Local, ok[0] = addrPort(&e.Local)
	b.Remote, ok[1] = addrPort(&e.Remote)
	if b.Sock == 0 || b.Sock%8 != 0 || !ok[0] || !ok[1] {
		return corrupt("box", "socket at %#x from %s to %s", b.Sock, b.Local, b.Remote)
	}
	return nil
}

// addrPort returns an end of a connection as nothing but Go would say it.
func addrPort(e *uapi.BoxEnd) (netip.AddrPort, bool) {
	const inet, inet6 = 2, 10 // AF_INET, AF_INET6
	addr := netip.AddrFrom16(e.Addr)
	switch {
	case e.Family == inet:
		addr = netip.AddrFrom4([4]byte(e.Addr[:]))
	case e.Family != inet6 || addr.Is4In6():
		return netip.AddrPort{}, false
	case e.Scope != 0:
		addr = addr.WithZone(strconv.FormatUint(uint64(e.Scope), 10))
	}
	return netip.AddrPortFrom(addr, e.Port), e.Port != 0 && !addr.IsUnspecified()
}
