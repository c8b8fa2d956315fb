// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// Head is a checked copy of what a box begins with: its description, the
// processes, the channels, the record of actions.
type Head struct {
	uapi.CboxHead
	ProcTable []uapi.CboxProc
	ChanTable []uapi.CboxChan
	raw       []byte
}

// HeadLen returns how many bytes of a box DecodeHead wants to see, given its
// first ones. It is at most uapi.CboxHeadMax.
func HeadLen(b []byte) (int, error) {
	var h uapi.CboxHead
	if err := h.Decode(b); err != nil {
		return 0, err
	}
	if err := checkFixed(&h, b); err != nil {
		return 0, err
	}
	return int(h.HeadLen), nil
}

// checkFixed checks what is written once.
func checkFixed(h *uapi.CboxHead, b []byte) error {
	switch {
	case h.Magic != uapi.CboxMagic:
		return damaged("magic", "%#x", h.Magic)
	case h.Major != uapi.CboxMajor:
		return damaged("version", "%d.%d, this is %d.%d", h.Major, h.Minor, uapi.CboxMajor, uapi.CboxMinor)
	case h.CRC != checksum(b[:uapi.CboxHeadCRCOff]):
		return damaged("head", "checksum %#x", h.CRC)
	case h.HeadLen < uapi.CboxHeadSize || h.HeadLen > uapi.CboxHeadMax:
		return damaged("head", "%d bytes", h.HeadLen)
	}
	return nil
}

// DecodeHead reads the head of a box of length bytes out of b, a private copy
// of at least HeadLen bytes of it, which stays Head's. Nothing that it returns
// points outside the box.
func DecodeHead(b []byte, length uint64) (*Head, error) {
	n, err := HeadLen(b)
	if err != nil {
		return nil, err
	}
	if n > len(b) {
		return nil, damaged("head", "%d bytes of %d", len(b), n)
	}
	h := &Head{raw: b[:n:n]}
	if err := h.Decode(h.raw); err != nil {
		return nil, err
	}
	if h.Len > length || h.Len > uapi.CboxLenMax || uint64(n) > h.Len {
		return nil, damaged("length", "%d of %d", h.Len, length)
	}
	for _, check := range []func() error{h.checkTables, h.checkRings, h.readProcs, h.readChans, h.checkSum} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *Head) checkTables() error {
	for _, t := range []struct {
		name       string
		t          uapi.CboxTable
		size, most int
	}{
		{"processes", h.Procs, uapi.CboxProcSize, uapi.CboxProcsMax},
		{"channels", h.Chans, uapi.CboxChanSize, uapi.CboxChansMax},
		{"options", h.Opts, uapi.CboxOptSize, uapi.CboxOptsMax},
		{"actions", h.Acts, uapi.CboxActSize, uapi.CboxActsMax},
	} {
		end := uint64(t.t.Off) + uint64(t.t.Count)*uint64(t.t.Size)
		if int(t.t.Size) != t.size || int(t.t.Count) > t.most || t.t.Off < uapi.CboxHeadSize || end > uint64(h.HeadLen) || t.t.Off%8 != 0 {
			return damaged("table of "+t.name, "%d of %d bytes at %d", t.t.Count, t.t.Size, t.t.Off)
		}
	}
	if h.Procs.Count == 0 || h.Opts.Count == 0 || h.Acts.Count == 0 {
		return damaged("tables", "no place for %d processes, %d options, %d actions", h.Procs.Count, h.Opts.Count, h.Acts.Count)
	}
	return nil
}

// inside reports whether an area lies behind the head and within the box.
func (h *Head) inside(off, n uint64) bool {
	return off >= uint64(h.HeadLen) && n <= h.Len && off <= h.Len-n
}

func (h *Head) ringAt(what string, a uapi.CboxArea) error {
	if a.Len == 0 || bits.OnesCount64(a.Len) != 1 || !h.inside(a.Off, a.Len) {
		return damaged(what, "%d bytes at %d", a.Len, a.Off)
	}
	return nil
}

func (h *Head) checkRings() error {
	if err := h.ringAt("receive log", h.Log); err != nil {
		return err
	}
	return h.ringAt("held output", h.Hold)
}

func (h *Head) readProcs() error {
	h.ProcTable = make([]uapi.CboxProc, h.Procs.Count)
	for i := range h.ProcTable {
		p := &h.ProcTable[i]
		if err := p.Decode(h.raw[int(h.Procs.Off)+i*uapi.CboxProcSize:]); err != nil {
			return err
		}
		if uint64(p.SnapLen) < uapi.CboxSnapSize || !h.inside(p.SnapOff, 2*uint64(p.SnapLen)) || p.SnapOff%8 != 0 || p.SnapLen%8 != 0 {
			return damaged("snapshots", "of process %d: 2 of %d bytes at %d", i, p.SnapLen, p.SnapOff)
		}
		if p.State&uapi.CboxClaimed != 0 {
			p.State = uapi.CboxProcFree
		}
		if p.State > uapi.CboxProcDone {
			return damaged("process", "%d is in state %d", i, p.State)
		}
	}
	slots, tree := h.Service()
	if _, err := tree.Order(); err != nil || len(slots) == 0 || slots[0] != 0 {
		return damaged("processes", "%v, no tree", tree)
	}
	return nil
}

func (h *Head) readChans() error {
	h.ChanTable = make([]uapi.CboxChan, h.Chans.Count)
	for i := range h.ChanTable {
		c := &h.ChanTable[i]
		if err := c.Decode(h.raw[int(h.Chans.Off)+i*uapi.CboxChanSize:]); err != nil {
			return err
		}
		if err := h.ringAt("channel's ring", c.Ring); err != nil {
			return err
		}
		if c.State == 0 || c.State&uapi.CboxClaimed != 0 {
			c.State = 0
			continue
		}
		if c.State != uapi.CboxChanOpen || !h.joined(c.Writer) || !h.joined(c.Reader) || c.Writer == c.Reader {
			return damaged("channel", "%d from process %d to %d, state %d", i, c.Writer, c.Reader, c.State)
		}
		if c.LSR > c.Head || c.Head-c.LSR > c.Ring.Len {
			return damaged("channel", "%d: log from %d, head %d, ring of %d", i, c.LSR, c.Head, c.Ring.Len)
		}
	}
	return nil
}

// checkSum: areas that lay over each other could ask a reader for many times
// the memory of the box.
func (h *Head) checkSum() error {
	sum := h.Log.Len + h.Hold.Len
	for _, p := range h.ProcTable {
		sum += 2 * uint64(p.SnapLen)
	}
	for _, c := range h.ChanTable {
		sum += c.Ring.Len
	}
	if sum > h.Len {
		return damaged("areas", "%d bytes in a box of %d", sum, h.Len)
	}
	return nil
}

func (h *Head) joined(slot uint32) bool {
	return slot < uint32(len(h.ProcTable)) && h.ProcTable[slot].State != uapi.CboxProcFree
}

// Service returns the slots in use, and the tree of their processes by their
// places in that list.
func (h *Head) Service() (slots []uint32, tree mtcp.Service) {
	index := make([]int, len(h.ProcTable))
	for i := range h.ProcTable {
		if h.joined(uint32(i)) {
			index[i] = len(slots)
			slots = append(slots, uint32(i))
		}
	}
	for _, slot := range slots {
		parent := len(slots) // no process: no tree
		switch at := h.ProcTable[slot].Parent; {
		case at == uapi.CboxNone:
			parent = mtcp.Root
		case h.joined(at):
			parent = index[at]
		}
		tree = append(tree, parent)
	}
	return slots, tree
}

// Order returns the slots in use in the total order of their states in the
// continuation (§2.4.2).
func (h *Head) Order() []uint32 {
	slots, tree := h.Service()
	order, _ := tree.Order() // checked when it was decoded
	out := make([]uint32, 0, len(order))
	for _, i := range order {
		out = append(out, slots[i])
	}
	return out
}

// ID names the session.
func (h *Head) ID() ID { return h.Session }

// Local and Remote are the ends of the connection.
func (h *Head) Local() netip.AddrPort  { return addrOf(h.CboxHead.Local) }
func (h *Head) Remote() netip.AddrPort { return addrOf(h.CboxHead.Remote) }

// Since returns the actions on the socket from number first on. Those that a
// later one has taken the place of are damage: an export comes before that.
func (h *Head) Since(first uint32) ([]mtcp.Action, error) {
	n := h.Actions - first
	if n > uint32(h.Acts.Count) {
		return nil, damaged("actions", "%d since the snapshot's %d", h.Actions, first)
	}
	log := make([]mtcp.Action, 0, n)
	for i := first; i != h.Actions; i++ {
		raw := h.raw[int(h.Acts.Off)+int(i%uint32(h.Acts.Count))*uapi.CboxActSize:]
		var a uapi.CboxAct
		if err := a.Decode(raw); err != nil {
			return nil, err
		}
		if a.Number != i || a.CRC != checksum(raw[:uapi.CboxActCRCOff]) || a.Len > uapi.CboxOptLen || a.Kind == 0 || a.Kind > uapi.CboxClose {
			return nil, damaged("action", "%d is not in its place", i)
		}
		log = append(log, mtcp.Action{Kind: mtcp.ActionKind(a.Kind), Pos: a.Pos,
			Option: mtcp.Option{Level: a.Level, Name: a.Name, Value: string(a.Value[:a.Len])}})
	}
	return log, nil
}

// Options returns the options in force: the table, and over it the actions
// recorded last, one of which may not have reached the table.
func (h *Head) Options() ([]mtcp.Option, error) {
	var opts []mtcp.Option
	for i := range int(h.Opts.Count) {
		raw := h.raw[int(h.Opts.Off)+i*uapi.CboxOptSize:]
		var o uapi.CboxOpt
		if err := o.Decode(raw); err != nil {
			return nil, err
		}
		if o.Used == 1 && o.Len <= uapi.CboxOptLen && o.CRC == checksum(raw[:uapi.CboxOptCRCOff]) {
			opts = append(opts, mtcp.Option{Level: o.Level, Name: o.Name, Value: string(o.Value[:o.Len])})
		}
	}
	if h.Actions == 0 {
		return opts, nil
	}
	last, err := h.Since(h.Actions - 1) // only this one may be missing in the table
	if err != nil {
		return opts, nil // overwritten since: it was no longer the last
	}
	return mtcp.InForce(opts, last), nil
}

func putAct(m memory, h *uapi.CboxHead, number uint32, x mtcp.Action) {
	a := uapi.CboxAct{Number: number, Kind: uint16(x.Kind), Len: uint16(len(x.Option.Value)), Level: x.Option.Level, Name: x.Option.Name, Pos: x.Pos}
	copy(a.Value[:], x.Option.Value)
	raw := a.Encode()
	binary.LittleEndian.PutUint32(raw[uapi.CboxActCRCOff:], checksum(raw[:uapi.CboxActCRCOff]))
	copy(m[int(h.Acts.Off)+int(number%uint32(h.Acts.Count))*uapi.CboxActSize:], raw)
}

func putOpt(m memory, h *uapi.CboxHead, i int, x mtcp.Option) {
	o := uapi.CboxOpt{Level: x.Level, Name: x.Name, Len: uint16(len(x.Value)), Used: 1}
	copy(o.Value[:], x.Value)
	raw := o.Encode()
	binary.LittleEndian.PutUint32(raw[uapi.CboxOptCRCOff:], checksum(raw[:uapi.CboxOptCRCOff]))
	copy(m[int(h.Opts.Off)+i*uapi.CboxOptSize:], raw)
}
