// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"fmt"
	"net/netip"

	"lazystate/backdoor/uapi"
)

// New makes the box of a session that has come here, in a region of its own: local and
// remote are the ends of its connection now. Bind and Thaw follow; then the root can
// Resume it.
func (im *Image) New(local, remote netip.AddrPort) (*Box, error) {
	r, device, err := newRegion(im.Size(), noSocket)
	if err != nil {
		return nil, err
	}
	b, err := im.plant(r, device, local, remote)
	if err != nil {
		return nil, errors.Join(err, r.File.Close())
	}
	return b, nil
}

// Plant is New in a region that has the size of the old box (NewRegion(im.Size())) and
// is still empty.
func (im *Image) Plant(r Region, local, remote netip.AddrPort) (*Box, error) {
	device, err := r.check()
	if err != nil {
		return nil, err
	}
	return im.plant(r, device, local, remote)
}

func (im *Image) plant(r Region, device bool, local, remote netip.AddrPort) (*Box, error) {
	if r.Length != im.Size() {
		return nil, &SizeError{"continuation box", uint64(im.Size()), uint64(r.Length)}
	}
	m, err := r.mapped()
	if err != nil {
		return nil, err
	}
	b := &Box{region: r, m: m, device: device}
	for _, e := range im.planting() {
		err = errors.Join(err, b.write(e.Off, e.Buf))
	}
	head := im.planted(local, remote)
	write(m, &head, im.plantedProcs(), im.plantedChans())
	if err == nil {
		b.head, err = readHead(m)
	}
	if err != nil {
		m.unmap()
		return nil, fmt.Errorf("plant session %s: %w", im.Head.ID(), err)
	}
	return b, nil
}

// Size is that of the box.
func (im *Image) Size() int64 { return int64(im.Head.Len) }

// planting is what the new box has, but its head.
func (im *Image) planting() []Extent {
	h := im.Head
	exts := []Extent{{uapi.CboxHeadSize, h.raw[uapi.CboxHeadSize:]}}
	for slot, raw := range im.raw {
		if raw != nil {
			p := &h.ProcTable[slot]
			exts = append(exts, Extent{p.SnapOff + im.Snapshots[slot].Seq%2*uint64(p.SnapLen), raw})
		}
	}
	base, lsr := uint64(0), im.Root().LSR
	if s := im.Snapshots[0]; s != nil {
		base = s.LogBase
	}
	exts = ringExtents(exts, h.Log, base, lsr, im.Log)
	exts = ringExtents(exts, h.Hold, 0, im.HeldAt, im.Held)
	for i, r := range im.Rings {
		exts = ringExtents(exts, h.ChanTable[i].Ring, 0, r.Log.From, r.Data)
	}
	return exts
}

func (im *Image) planted(local, remote netip.AddrPort) uapi.CboxHead {
	h := im.Head.CboxHead
	h.Generation++
	h.Local, h.Remote = putAddr(local), putAddr(remote)
	h.State = uapi.CboxLeaving // until Thaw
	h.ReadBase, h.WriteBase, h.Numbered = 0, 0, 0
	h.Trial, h.Tried = 0, 0 // see Box.Try
	if im.Repeat {
		h.Actions = im.Root().Actions
	}
	return h
}

// plantedProcs: nobody has opened them here.
func (im *Image) plantedProcs() []uapi.CboxProc {
	procs := make([]uapi.CboxProc, len(im.Head.ProcTable))
	for i, p := range im.Head.ProcTable {
		if p.State == uapi.CboxProcLive {
			p.State = uapi.CboxProcJoined
		}
		p.PID, p.Owner, p.Busy = 0, 0, 0
		procs[i] = p
	}
	return procs
}

func (im *Image) plantedChans() []uapi.CboxChan {
	chans := make([]uapi.CboxChan, len(im.Head.ChanTable))
	for i, c := range im.Head.ChanTable {
		r := im.Rings[i]
		chans[i] = uapi.CboxChan{Ring: c.Ring, Writer: c.Writer, Reader: c.Reader, State: c.State,
			Head: r.Head, LSR: r.Reader, Read: r.Reader, End: word(r.End), Gone: word(r.Gone)}
	}
	return chans
}

func word(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
