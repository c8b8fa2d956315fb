// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/binary"
	"time"

	"lazystate/backdoor/uapi"
)

// asker writes what monitors' programs write: package backdoor's two writes for
// each record.
type asker struct {
	boot [16]byte
	seq  uint64
}

// testKey is the key of a slot in tests.
func testKey(slot uint32) uapi.Key { return uapi.Key{0: 0x5e, 15: byte(slot + 1)} }

func (s *asker) next(a args) uint64 {
	s.seq++
	return a.number("seq", s.seq)
}

// requests are the operations of one line; nil if it is unknown.
func (s *asker) requests(slot uint32, f []string, a args) []Request {
	switch f[0] {
	case "read":
		return []Request{{Monitor: slot, Op: Read, Kind: kindOf(f[1]), Addr: number(f[2]), Off: number(f[2]), Len: number(f[3])}}
	case "write":
		return []Request{s.put(slot, kindOf(f[1]), number(f[2]), []byte(f[3]))}
	case "atomic":
		return []Request{{Monitor: slot, Op: Atomic, Kind: kindOf(f[1]), Addr: number(f[2]), Off: number(f[2]), Len: 8}}
	case "lock", "unlock", "fence":
		return s.lock(slot, f[0], a)
	case "kill":
		var pids []uint32
		for _, w := range f[1:] {
			pids = append(pids, uint32(number(w)))
		}
		return s.kill(slot, pids...)
	case "knob":
		return s.knob(slot, a)
	case "own", "give":
		return s.own(slot, f[0], a)
	}
	return nil
}

func (s *asker) put(slot, kind uint32, off uint64, b []byte) Request {
	return Request{Monitor: slot, Op: Write, Kind: kind, Addr: off, Off: off, Len: uint64(len(b)), Data: b}
}

func (s *asker) lock(slot uint32, what string, a args) []Request {
	kind, want := uint32(uapi.KindLockReq), uint32(uapi.WantLock)
	switch what {
	case "unlock":
		want = uapi.WantFree
	case "fence":
		kind, want = uapi.KindFence, uapi.FenceWant
	}
	q := uapi.LockReq{
		Want: want, Epoch: uint32(a.number("epoch", 1)), LeaseMs: uint32(a.duration("lease", time.Second).Milliseconds()),
		Monitor: slot, Seq: s.next(a),
	}
	q.Commit = uint32(a.number("commit", q.Seq))
	q.Sign(testKey(slot), s.boot, kind)
	b, off := q.Encode(), uint64(slot)*uapi.LockReqSize
	return []Request{
		s.put(slot, kind, off, b[:uapi.LockReqCommitOff]),
		s.put(slot, kind, off+uapi.LockReqCommitOff, b[uapi.LockReqCommitOff:uapi.LockReqCommitOff+4]),
	}
}

func (s *asker) kill(slot uint32, pids ...uint32) []Request {
	seq := s.next(nil)
	var bodies []byte
	for i, pid := range pids {
		k := uapi.KillSlot{StartTime: uint64(pid) * 1000, PID: pid, Signal: 9, Seq: seq}
		k.Sign(testKey(slot), s.boot, uint32(i))
		bodies = append(bodies, k.Encode()...)
	}
	post := binary.LittleEndian.AppendUint64(nil, seq<<32|uint64(len(pids)))
	return []Request{
		s.put(slot, uapi.KindKillReq, uapi.KillReqsSlotOff+uint64(slot)*uapi.KillSlots*uapi.KillSlotSize, bodies),
		s.put(slot, uapi.KindKillReq, uapi.KillReqsPostOff+uint64(slot)*8, post),
	}
}

func (s *asker) knob(slot uint32, a args) []Request {
	i := uint32(a.number("i", 0))
	q := uapi.KnobSlot{Knob: uint32(a.number("knob", 1)), Arg: uint32(a.number("arg", 0)), Value: int64(a.number("value", 0)), Seq: s.next(a)}
	q.Commit = uint32(q.Seq)
	q.Sign(testKey(slot), s.boot, i)
	b, off := q.Encode(), uint64(slot*uapi.KnobSlots+i)*uapi.KnobSlotSize
	return []Request{
		s.put(slot, uapi.KindKnobReq, off, b[:uapi.KnobSlotCommitOff]),
		s.put(slot, uapi.KindKnobReq, off+uapi.KnobSlotCommitOff, b[uapi.KnobSlotCommitOff:uapi.KnobSlotCommitOff+4]),
	}
}

func (s *asker) own(slot uint32, what string, a args) []Request {
	q := uapi.OwnerReq{
		Want: uapi.OwnerTake, Epoch: uint32(a.number("epoch", 1)), LeaseMs: uint32(a.duration("lease", 10*time.Second).Milliseconds()),
		Monitor: slot, Seq: s.next(a),
	}
	if what == "give" {
		q.Want = uapi.OwnerGive
	}
	q.Commit = uint32(q.Seq)
	q.Sign(testKey(uint32(a.number("key", uint64(slot)))), s.boot)
	b, off := q.Encode(), uint64(slot)*uapi.OwnerReqSize
	return []Request{
		s.put(slot, uapi.KindOwnerReq, off, b[:uapi.OwnerReqCommitOff]),
		s.put(slot, uapi.KindOwnerReq, off+uapi.OwnerReqCommitOff, b[uapi.OwnerReqCommitOff:uapi.OwnerReqCommitOff+4]),
	}
}
