// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"slices"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp"
)

// An Image on the wire is a sequence of parts, each {kind u8, index u32,
// from u64, length u64} and length bytes, little-endian. The head comes first.
const (
	partHead   = 1 // from: the length of the box
	partSnap   = 2 // index: slot
	partLog    = 3 // from: the root's lsr
	partHeld   = 4 // from: HeldAt
	partRing   = 5 // index: channel; from: Log.From; the data, then Head
	partRepeat = 6
)

const partHeader = 1 + 4 + 8 + 8

// ring flags lie above the channel's number.
const (
	ringEnd  = 1 << 30
	ringGone = 1 << 31
)

// AppendBinary encodes an image for another server.
func (im *Image) AppendBinary(b []byte) ([]byte, error) {
	b = slices.Grow(b, im.wireLen())
	b = part(b, partHead, 0, im.Head.Len, im.Head.raw)
	for slot, raw := range im.raw {
		if raw != nil {
			b = part(b, partSnap, uint32(slot), 0, raw)
		}
	}
	b = part(b, partLog, 0, im.Root().LSR, im.Log)
	b = part(b, partHeld, 0, im.HeldAt, im.Held)
	for i, r := range im.Rings {
		if im.Head.ChanTable[i].State == uapi.CboxChanOpen {
			b = part(b, partRing, uint32(i)|word(r.End)*ringEnd|word(r.Gone)*ringGone, r.Log.From, le.AppendUint64(r.Data[:len(r.Data):len(r.Data)], r.Head))
		}
	}
	if im.Repeat {
		b = part(b, partRepeat, 0, 0, nil)
	}
	return b, nil
}

// wireLen is at least how much AppendBinary appends.
func (im *Image) wireLen() int {
	n := len(im.Head.raw) + len(im.Log) + len(im.Held) + (4+len(im.raw)+len(im.Rings))*(partHeader+8)
	for _, raw := range im.raw {
		n += len(raw)
	}
	for _, r := range im.Rings {
		n += len(r.Data)
	}
	return n
}

func part(b []byte, kind byte, index uint32, from uint64, data []byte) []byte {
	b = append(b, kind)
	b = le.AppendUint32(b, index)
	b = le.AppendUint64(b, from)
	b = le.AppendUint64(b, uint64(len(data)))
	return append(b, data...)
}

// ParseImage decodes what another server sent, which may be hostile: whatever
// it returns without an error can be planted, in at most most bytes.
func ParseImage(b []byte, most uint64) (*Image, error) {
	im := &Image{}
	for first := true; len(b) > 0; first = false {
		if len(b) < partHeader {
			return nil, damaged("image", "%d bytes left over", len(b))
		}
		kind, index, from, n := b[0], le.Uint32(b[1:]), le.Uint64(b[5:]), le.Uint64(b[13:])
		b = b[partHeader:]
		if n > uint64(len(b)) || first != (kind == partHead) {
			return nil, damaged("image", "part of kind %d, %d bytes of %d", kind, n, len(b))
		}
		if err := im.take(kind, index, from, b[:n], most); err != nil {
			return nil, err
		}
		b = b[n:]
	}
	if im.Head == nil {
		return nil, damaged("image", "empty")
	}
	return im, im.check()
}

func (im *Image) take(kind byte, index uint32, from uint64, data []byte, most uint64) error {
	switch kind {
	case partHead:
		if from > most {
			return &SizeError{"continuation box", from, most}
		}
		h, err := DecodeHead(data, from)
		if err != nil {
			return err
		}
		im.Head = h
		im.Snapshots, im.raw = make([]*Snapshot, len(h.ProcTable)), make([][]byte, len(h.ProcTable))
		im.Rings = make([]Ring, len(h.ChanTable))
	case partSnap:
		return im.takeSnapshot(index, data)
	case partLog:
		im.LogTo, im.Log = from+uint64(len(data)), data
	case partHeld:
		im.HeldAt, im.Held = from, data
	case partRing:
		return im.takeRing(index, from, data)
	case partRepeat:
		im.Repeat = true
	default:
		return damaged("image", "part of kind %d", kind)
	}
	return nil
}

func (im *Image) takeSnapshot(slot uint32, data []byte) error {
	if !im.Head.joined(slot) || uint64(len(data)) > uint64(im.Head.ProcTable[slot].SnapLen) {
		return damaged("image", "snapshot of %d bytes in slot %d", len(data), slot)
	}
	s, err := DecodeSnapshot(data, len(im.Head.ChanTable))
	if err != nil {
		return err
	}
	im.setSnapshot(int(slot), s, data)
	return nil
}

func (im *Image) takeRing(index uint32, from uint64, data []byte) error {
	i := index &^ (ringEnd | ringGone)
	if i >= uint32(len(im.Rings)) || len(data) < 8 {
		return damaged("image", "channel %d with %d bytes", i, len(data))
	}
	n := len(data) - 8
	head := binary.LittleEndian.Uint64(data[n:])
	im.Rings[i] = Ring{Data: data[:n], End: index&ringEnd != 0, Gone: index&ringGone != 0,
		Resumed: mtcp.Resumed{Log: mtcp.Span{From: from, To: from + uint64(n)}, Reader: from, Head: head}}
	return nil
}

// check compares the parts with each other.
func (im *Image) check() error {
	root := im.Root()
	if im.LogTo-uint64(len(im.Log)) != root.LSR || uint64(len(im.Log)) > im.Head.Log.Len {
		return damaged("image", "receive log up to %d, %d bytes, lsr %d", im.LogTo, len(im.Log), root.LSR)
	}
	if uint64(len(im.Held)) > im.Head.Hold.Len || im.HeldAt > im.HeldAt+uint64(len(im.Held)) {
		return damaged("image", "%d bytes held at %d", len(im.Held), im.HeldAt)
	}
	if s := im.Snapshots[0]; s != nil && (s.LogBase > s.LSR || im.Head.Actions-s.Actions > uint32(im.Head.Acts.Count)) {
		return damaged("image", "log from %d, lsr %d; %d actions, %d before the snapshot", s.LogBase, s.LSR, im.Head.Actions, s.Actions)
	}
	for i, c := range im.Head.ChanTable {
		r := im.Rings[i]
		if c.State != uapi.CboxChanOpen {
			if len(r.Data) > 0 || r.Head > 0 {
				return damaged("image", "bytes in channel %d, which is not open", i)
			}
			continue
		}
		lsr, lsw := im.endOf(c.Reader, i).Pos, im.endOf(c.Writer, i).Pos
		if r.Log.From != lsr || r.Log.To != r.Head || r.Log.Len() != uint64(len(r.Data)) || r.Log.Len() > c.Ring.Len || r.Head < lsw {
			return damaged("image", "channel %d: log %v, head %d, lsr %d, lsw %d", i, r.Log, r.Head, lsr, lsw)
		}
	}
	return nil
}
