// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// Extent is a piece of a box: Buf is filled with what lies at Off.
type Extent struct {
	Off uint64
	Buf []byte
}

// Fetch reads pieces of a box, wherever it is: in memory that is mapped here,
// or in that of a machine whose kernel is dead. All extents of one call are
// one batch.
type Fetch func([]Extent) error

// Image is what moves of a box: a private, checked copy.
type Image struct {
	Head      *Head
	Snapshots []*Snapshot // by slot; nil where nothing was exported
	raw       [][]byte    // of the snapshots

	LogTo  uint64 // Log is [the root's lsr, LogTo) of what came from the client
	Log    []byte
	HeldAt uint64
	Held   []byte // released output that TCP has not been given
	Repeat bool   // see mtcp.Move
	Rings  []Ring // by channel
}

// Ring is a channel as it goes on.
type Ring struct {
	mtcp.Resumed
	Data []byte // the log, from Log.From on
	End  bool   // the writer has closed it
	Gone bool   // the reader has
}

// Fetch reads a box that is mapped here.
func (b *Box) Fetch(exts []Extent) error {
	for _, e := range exts {
		if e.Off > uint64(len(b.m)) || uint64(len(e.Buf)) > uint64(len(b.m))-e.Off {
			return damaged("extent", "%d bytes at %d of %d", len(e.Buf), e.Off, len(b.m))
		}
		if err := b.read(e.Off, e.Buf); err != nil {
			return err
		}
	}
	return nil
}

// ReadImage reads head and snapshots of a box of length bytes, which nobody
// changes meanwhile (Freeze, or the fence of a machine): two batches, one more if
// the head is large, and one more if a snapshot is. What has to be known of the socket
// comes next, then Fill.
func ReadImage(length uint64, fetch Fetch) (*Image, error) {
	b := make([]byte, min(length, pageSize))
	if err := fetch([]Extent{{0, b}}); err != nil {
		return nil, fmt.Errorf("read the head of a box: %w", err)
	}
	n, err := HeadLen(b)
	if err != nil {
		return nil, err
	}
	if rest := n - len(b); rest > 0 {
		b = append(b, make([]byte, rest)...)
		if err := fetch([]Extent{{uint64(n - rest), b[n-rest:]}}); err != nil {
			return nil, fmt.Errorf("read the tables of a box: %w", err)
		}
	}
	h, err := DecodeHead(b, length)
	if err != nil {
		return nil, err
	}
	im := &Image{Head: h}
	return im, im.readSnapshots(fetch)
}

// snapLook is how much is read of both buffers of a process before it is known which of
// them counts: all of a small snapshot, and no more than a page's worth of a large one,
// of which the other buffer and what lies behind its end are nobody's business.
const snapLook = 1 << 10

func (im *Image) readSnapshots(fetch Fetch) error {
	procs := im.Head.ProcTable
	im.Snapshots, im.raw = make([]*Snapshot, len(procs)), make([][]byte, len(procs))
	var exts []Extent
	var slots []int
	for i := range procs {
		if p := &procs[i]; p.State != uapi.CboxProcFree {
			look := min(p.SnapLen, snapLook)
			slots = append(slots, i)
			exts = append(exts, Extent{p.SnapOff, make([]byte, look)}, Extent{p.SnapOff + uint64(p.SnapLen), make([]byte, look)})
		}
	}
	if err := fetch(exts); err != nil {
		return fmt.Errorf("read snapshots: %w", err)
	}
	last, rest := make([][]byte, len(slots)), []Extent{}
	for i, slot := range slots {
		which, err := lastOf(exts[2*i].Buf, exts[2*i+1].Buf)
		if err != nil {
			return fmt.Errorf("process %d: %w", slot, err)
		}
		if which < 0 {
			continue
		}
		e := exts[2*i+which]
		n, have := min(snapshotLen(e.Buf), uint64(procs[slot].SnapLen)), uint64(len(e.Buf))
		if n > have {
			e.Buf = append(e.Buf, make([]byte, n-have)...)
			rest = append(rest, Extent{e.Off + have, e.Buf[have:]})
		}
		last[i] = e.Buf
	}
	if err := fetch(rest); err != nil {
		return fmt.Errorf("read snapshots: %w", err)
	}
	for i, slot := range slots {
		if last[i] == nil {
			continue
		}
		s, err := DecodeSnapshot(last[i], len(im.Head.ChanTable))
		if err != nil {
			return fmt.Errorf("process %d: %w", slot, err)
		}
		im.setSnapshot(slot, s, last[i])
	}
	return nil
}

// setSnapshot keeps what of a buffer belongs to the snapshot.
func (im *Image) setSnapshot(slot int, s *Snapshot, b []byte) {
	im.Snapshots[slot] = s
	im.raw[slot] = b[:uapi.CboxSnapSize+len(s.Ends)*uapi.CboxEndSize+len(s.Data)]
}

// Root is the root's snapshot as mtcp.Cut wants it.
func (im *Image) Root() mtcp.Snapshot {
	s := im.Snapshots[0]
	if s == nil {
		return mtcp.Snapshot{}
	}
	return mtcp.Snapshot{LSR: s.LSR, LSW: s.LSW, Actions: s.Actions, Shut: s.Shut}
}

// Fill reads what of the rings moves with a connection that was cut like this.
func (im *Image) Fill(fetch Fetch, m mtcp.Move, p mtcp.Policy) error {
	if err := im.plan(m, p); err != nil {
		return err
	}
	h := im.Head
	var exts []Extent
	if s := im.Snapshots[0]; s != nil {
		exts = ringExtents(exts, h.Log, s.LogBase, s.LSR, im.Log)
	} else {
		exts = ringExtents(exts, h.Log, 0, 0, im.Log)
	}
	exts = ringExtents(exts, h.Hold, 0, im.HeldAt, im.Held)
	for i, r := range im.Rings {
		exts = ringExtents(exts, h.ChanTable[i].Ring, 0, r.Log.From, r.Data)
	}
	if err := fetch(exts); err != nil {
		return fmt.Errorf("read logs: %w", err)
	}
	return im.check()
}

// plan decides what of the rings moves, and makes room for it.
func (im *Image) plan(m mtcp.Move, p mtcp.Policy) error {
	lsr := im.Root().LSR
	im.LogTo, im.HeldAt, im.Repeat = max(lsr, min(m.Read, m.Log.To)), m.Held.From, m.Repeat
	if err := fits("receive log", im.LogTo-lsr, im.Head.Log.Len); err != nil {
		return err
	}
	if err := fits("held output", m.Held.Len(), im.Head.Hold.Len); err != nil {
		return err
	}
	im.Log, im.Held = make([]byte, im.LogTo-lsr), make([]byte, m.Held.Len())
	im.Rings = make([]Ring, len(im.Head.ChanTable))
	for i := range im.Rings {
		if err := im.planRing(i, p); err != nil {
			return fmt.Errorf("channel %d: %w", i, err)
		}
	}
	return nil
}

func fits(what string, n, most uint64) error {
	if n > most {
		return damaged(what, "%d bytes, ring of %d", n, most)
	}
	return nil
}

func (im *Image) planRing(i int, p mtcp.Policy) error {
	c := &im.Head.ChanTable[i]
	if c.State != uapi.CboxChanOpen {
		return nil
	}
	w, r := im.endOf(c.Writer, i), im.endOf(c.Reader, i)
	res, err := mtcp.Channel{LSR: r.Pos, LSW: w.Pos, Head: c.Head}.Sync(p)
	if err != nil {
		return err
	}
	if err := fits("log", res.Log.Len(), c.Ring.Len); err != nil {
		return err
	}
	im.Rings[i] = Ring{Resumed: res, Data: make([]byte, res.Log.Len()), End: w.Closed || p == mtcp.Whole && c.End != 0, Gone: r.Closed}
	return nil
}

// endOf returns where a process was in a channel when it exported.
func (im *Image) endOf(slot uint32, channel int) End {
	if s := im.Snapshots[slot]; s != nil {
		for _, e := range s.Ends {
			if int(e.Chan) == channel {
				return e
			}
		}
	}
	return End{}
}

// ringExtents adds the pieces of a ring in which b lies, from offset off on.
func ringExtents(exts []Extent, a uapi.CboxArea, base, off uint64, b []byte) []Extent {
	for len(b) > 0 {
		at := (off - base) & (a.Len - 1)
		n := min(uint64(len(b)), a.Len-at)
		exts = append(exts, Extent{a.Off + at, b[:n]})
		b, off = b[n:], off+n
	}
	return exts
}
