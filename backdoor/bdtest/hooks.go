// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"lazystate/backdoor/uapi"
)

const sigKill = 9

func (t *Target) scanKills(m uint32) {
	k := &t.kernel
	post := t.get64(t.area[uapi.KindKillReq] + uapi.KillReqsPostOff + uint64(m)*8)
	if post == k.killSeen[m] || post == 0 {
		return
	}
	count, low := min(uint32(post), uapi.KillSlots), uint32(post>>32)
	if k.nmi() { // it may hold siglock: the slots run at release
		t.deferKills(m, count, low)
		return
	}
	k.killSeen[m] = post
	highest := k.killSeq[m]
	for i := range count {
		slot := uint64(m)*uapi.KillSlots + uint64(i)
		var s uapi.KillSlot
		_ = s.Decode(t.ram[t.area[uapi.KindKillReq]+uapi.KillReqsSlotOff+slot*uapi.KillSlotSize:])
		res := uapi.KillResult{SeqLo: low, Result: t.kill(m, i, low, &s)}
		if res.Result != uapi.ResTag && res.Result != uapi.ResNoKey && res.Result != uapi.ResSeq {
			highest = max(highest, s.Seq)
		}
		res.Put(t.ram[t.area[uapi.KindKillAck]+uapi.KillAcksResultOff+slot*uapi.KillResultSize:])
	}
	k.killSeq[m] = highest
	t.put64(t.area[uapi.KindKillAck]+uapi.KillAcksAcceptedSeqOff+uint64(m)*8, highest)
	t.put64(t.area[uapi.KindKillAck]+uint64(m)*8, post)
}

func (t *Target) deferKills(m, count, low uint32) {
	for i := range uint64(count) {
		res := uapi.KillResult{SeqLo: low, Result: uapi.ResDeferred}
		res.Put(t.ram[t.area[uapi.KindKillAck]+uapi.KillAcksResultOff+(uint64(m)*uapi.KillSlots+i)*uapi.KillResultSize:])
	}
}

func (t *Target) kill(m, i, low uint32, s *uapi.KillSlot) uint32 {
	key, ok := t.cfg.keys[m]
	signed := *s
	signed.Sign(key, t.boot, i)
	p := t.procs[int(s.PID)]
	switch {
	case !ok:
		return uapi.ResNoKey
	case signed.Tag != s.Tag || uint32(s.Seq) != low:
		return uapi.ResTag
	case s.Seq <= t.kernel.killSeq[m]:
		return uapi.ResSeq
	case s.Signal < 1 || s.Signal > 64:
		return uapi.ResRange
	case p == nil:
		return uapi.ResESRCH
	case p.StartTime != s.StartTime:
		return uapi.ResReused
	case p.KThread:
		return uapi.ResKThread
	case p.PID == 1, p.Container && !p.UserNS:
		return uapi.ResInit
	}
	p.pending = append(p.pending, s.Signal)
	return uapi.ResDone
}

// deliver lets signals act, as they do only when CPUs run.
func (t *Target) deliver() {
	for pid, p := range t.procs {
		for _, sig := range p.pending {
			if sig == sigKill {
				t.remove(pid)
				break
			}
		}
		p.pending = nil
	}
}

var knobBounds = map[uint32][2]int64{
	uapi.KnobOvercommitMemory: {0, 2}, uapi.KnobThreadsMax: {64, 4194304}, uapi.KnobUIDNProc: {0, 4194304},
	uapi.KnobNice: {-20, 19}, uapi.KnobSchedNormal: {-20, 19}, uapi.KnobSchedFIFO: {0, 0}, uapi.KnobPowerOff: {0, 1},
	uapi.KnobReboot: {0, 1}, uapi.KnobCrashKexec: {0, 0}, uapi.KnobPIDMax: {301, 4194304},
	uapi.KnobDropCaches: {1, 3}, uapi.KnobSwappiness: {0, 200},
}

func (t *Target) scanKnobs(m uint32) {
	for i := range uint32(uapi.KnobSlots) {
		n := uint64(m)*uapi.KnobSlots + uint64(i)
		var s uapi.KnobSlot
		_ = s.Decode(t.ram[t.area[uapi.KindKnobReq]+n*uapi.KnobSlotSize:])
		if s.Commit == t.kernel.knobSeen[m][i] || s.Commit != uint32(s.Seq) {
			continue
		}
		t.kernel.knobSeen[m][i] = s.Commit
		old := t.kernel.knobs[s.Knob]
		res := uapi.KnobResult{SeqLo: uint32(s.Seq), Result: t.knob(m, i, &s), Value: old}
		t.put64(t.area[uapi.KindKnobAck]+uapi.KnobAcksAcceptedSeqOff+uint64(m)*8, t.kernel.knobSeq[m])
		res.Put(t.ram[t.area[uapi.KindKnobAck]+n*uapi.KnobResultSize:])
	}
}

func (t *Target) knob(m, i uint32, s *uapi.KnobSlot) uint32 {
	key, ok := t.cfg.keys[m]
	signed := *s
	signed.Sign(key, t.boot, i)
	bounds, known := knobBounds[s.Knob]
	switch {
	case !ok:
		return uapi.ResNoKey
	case signed.Tag != s.Tag:
		return uapi.ResTag
	case s.Seq <= t.kernel.knobSeq[m]:
		return uapi.ResSeq
	case !known || s.Value < bounds[0] || s.Value > bounds[1]:
		t.kernel.knobSeq[m] = s.Seq
		return uapi.ResRange
	}
	t.kernel.knobSeq[m] = s.Seq
	if s.Knob == uapi.KnobNice || s.Knob == uapi.KnobSchedNormal || s.Knob == uapi.KnobSchedFIFO {
		if p := t.procs[int(s.Arg)]; p == nil {
			return uapi.ResESRCH
		} else if p.StartTime != s.StartTime {
			return uapi.ResReused
		}
	}
	t.kernel.knobs[s.Knob] = s.Value
	return uapi.ResDone
}
