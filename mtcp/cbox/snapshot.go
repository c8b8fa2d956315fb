// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"encoding/binary"
	"errors"

	"lazystate/backdoor/uapi"
)

// End is where a process was in one channel when it exported: lsr if it reads
// there, lsw if it writes.
type End struct {
	Chan   uint32
	Pos    uint64
	Closed bool
}

// Snapshot is what a process exported last.
type Snapshot struct {
	Seq, Order        uint64 // among its own, and among those of all processes
	LSR, LSW, LogBase uint64 // the root's: of the connection
	Actions           uint32
	NDI, Shut, Final  bool
	Ends              []End
	Data              []byte
}

// DecodeSnapshot reads a private copy of one snapshot buffer, which stays
// Snapshot's.
func DecodeSnapshot(b []byte, chans int) (*Snapshot, error) {
	var s uapi.CboxSnap
	if err := s.Decode(b); err != nil {
		return nil, err
	}
	head := uint64(uapi.CboxSnapSize) + uint64(s.Ends)*uapi.CboxEndSize
	end := head + uint64(s.Len)
	if s.Seq == 0 || s.Number != s.Seq || end > uint64(len(b)) || int(s.Ends) > chans {
		return nil, damaged("snapshot", "%d: number %d, %d positions, %d bytes", s.Seq, s.Number, s.Ends, s.Len)
	}
	if s.CRC != checksum(b[uapi.CboxSnapNumberOff:end]) {
		return nil, damaged("snapshot", "%d: wrong checksum", s.Seq)
	}
	out := &Snapshot{Seq: s.Seq, Order: s.Order, LSR: s.LSR, LSW: s.LSW, LogBase: s.LogBase, Actions: s.Actions,
		NDI: s.Flags&uapi.CboxSnapNDI != 0, Shut: s.Flags&uapi.CboxSnapShut != 0, Final: s.Flags&uapi.CboxSnapFinal != 0,
		Data: b[head:end:end]}
	for i := range int(s.Ends) {
		var e uapi.CboxEnd
		if err := e.Decode(b[uapi.CboxSnapSize+i*uapi.CboxEndSize:]); err != nil {
			return nil, err
		}
		if int(e.Chan) >= chans {
			return nil, damaged("snapshot", "position in channel %d of %d", e.Chan, chans)
		}
		out.Ends = append(out.Ends, End{e.Chan, e.Pos, e.Flags&uapi.CboxEndClosed != 0})
	}
	return out, nil
}

// lastOf says which of a process's two buffers has its last snapshot, by what they begin
// with; -1: it has not exported yet. A sequence word without a sound snapshot to it is
// damage: the one before will not do, because its log has gone. So is one that is not its
// snapshot's number: it was written last, or is 0.
func lastOf(buffers ...[]byte) (which int, err error) {
	which = -1
	newest := uint64(0)
	for i, b := range buffers {
		seq := seqOf(b)
		if seq != 0 && seq != numberOf(b) {
			return 0, damaged("snapshot", "%d: number %d", seq, numberOf(b))
		}
		if seq > newest {
			which, newest = i, seq
		}
	}
	return which, nil
}

// snapshotLen is how much of a buffer a snapshot takes, as its first bytes say.
func snapshotLen(b []byte) uint64 {
	return uapi.CboxSnapSize + uint64(le.Uint16(b[uapi.CboxSnapEndsOff:]))*uapi.CboxEndSize + uint64(le.Uint32(b[uapi.CboxSnapLenOff:]))
}

// copyMost bounds what is copied of a snapshot that changes all the time.
const copyMost = 64 << 20

// lastSnapshot copies the last snapshot of a process out of a box, while the process
// may take the next ones: it stores seq = 0 before it writes, so a copy is whole if
// seq has not changed.
func lastSnapshot(from source, p *uapi.CboxProc, chans int) (*Snapshot, error) {
	b := make([]byte, p.SnapLen)
	for range max(10, min(1000, copyMost/len(b))) {
		off := p.SnapOff
		seq, err := from.number(off)
		two, err2 := from.number(off + uint64(p.SnapLen))
		if err = errors.Join(err, err2); err != nil {
			return nil, err
		}
		if two > seq {
			off, seq = off+uint64(p.SnapLen), two
		}
		if seq == 0 {
			return nil, nil
		}
		if err := from.read(off, b); err != nil {
			return nil, err
		}
		s, bad := DecodeSnapshot(b, chans)
		if now, err := from.number(off); err != nil || now == seq {
			return s, errors.Join(bad, err)
		}
	}
	return nil, damaged("snapshot", "it changes all the time")
}

func seqOf(b []byte) uint64    { return binary.LittleEndian.Uint64(b[uapi.CboxSnapSeqOff:]) }
func numberOf(b []byte) uint64 { return binary.LittleEndian.Uint64(b[uapi.CboxSnapNumberOff:]) }
