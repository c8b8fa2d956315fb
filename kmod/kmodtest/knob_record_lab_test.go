// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"errors"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// knobRecords: what the target refuses, and why.
func (k *loaded) knobRecords(t *testing.T) {
	const file = "/proc/sys/vm/swappiness"
	was := k.guestNumber(t, file)
	old := k.swappiness(was + 1)
	if got := k.postKnob(t, slot, old); got != uapi.ResDone {
		t.Fatalf("accepted: %s", uapi.ResultName(got))
	}
	if got := k.postKnob(t, slot, k.swappiness(was)); got != uapi.ResDone {
		t.Fatalf("accepted: %s", uapi.ResultName(got))
	}
	for _, c := range []struct {
		name  string
		by    uint32
		want  uint32
		spoil func(*uapi.KnobSlot)
	}{
		{"no key", 5, uapi.ResNoKey, func(*uapi.KnobSlot) {}},
		{"changed", slot, uapi.ResTag, func(s *uapi.KnobSlot) { s.Value++ }},
		{"half written", slot, uapi.ResTag, func(s *uapi.KnobSlot) { s.Tag = old.Tag }},
		{"another key", slot, uapi.ResTag, func(s *uapi.KnobSlot) { s.Sign(uapi.Key{1}, k.target.BootID(), 0) }},
		{"tag of another slot", slot, uapi.ResTag, func(s *uapi.KnobSlot) { s.Sign(key, k.target.BootID(), 3) }},
		{"tag of another boot", slot, uapi.ResTag, func(s *uapi.KnobSlot) { s.Sign(key, [16]byte{1}, 0) }},
		{"replayed", slot, uapi.ResSeq, func(s *uapi.KnobSlot) { *s = old }},
		{"commit of another record", slot, uapi.ResSeq, func(s *uapi.KnobSlot) { s.Commit ^= 2 }},
	} {
		s := k.swappiness(was + 2)
		c.spoil(&s)
		if got := k.postKnob(t, c.by, s); got != c.want {
			t.Errorf("%s: %s", c.name, uapi.ResultName(got))
		}
	}
	if now := k.guestNumber(t, file); now != was {
		t.Errorf("after all refusals it went from %d to %d", was, now)
	}
}

// swappiness makes a record that the target accepts.
func (k *loaded) swappiness(value int64) uapi.KnobSlot {
	seq := uint64(time.Now().UnixNano())
	s := uapi.KnobSlot{Knob: uapi.KnobSwappiness, Value: value, Seq: seq, Commit: uint32(seq)}
	s.Sign(key, k.target.BootID(), 0)
	return s
}

// postKnob writes a record as it stands into the first slot, in its two writes.
func (k *loaded) postKnob(t *testing.T, by uint32, s uapi.KnobSlot) uint32 {
	t.Helper()
	area, err := k.target.Region(uapi.KindKnobReq)
	if err != nil {
		t.Fatal(err)
	}
	b, off := s.Encode(), uint64(by)*uapi.KnobSlots*uapi.KnobSlotSize
	const commit = uapi.KnobSlotCommitOff
	if err := k.target.Do(t.Context(), area.Write(off, b[:commit]), area.Write(off+commit, b[commit:commit+4])); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		var r uapi.KnobResult
		_, acks := k.region(t, uapi.KindKnobAck)
		if err := r.Decode(acks[int(by)*uapi.KnobSlots*uapi.KnobResultSize:]); err != nil {
			t.Fatal(err)
		}
		if r.SeqLo == uint32(s.Seq) && r.Result != uapi.ResQueued {
			return r.Result
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and no answer to knob record %d", uint32(s.Seq))
		}
	}
}

// knobUnderLock: a soft knob is taken, and turned when its thread runs again.
func (k *loaded) knobUnderLock(t *testing.T) {
	const file = "/proc/sys/vm/swappiness"
	was := k.guestNumber(t, file)
	hooks := k.hooks(t, slot, key)
	held := k.lock(t, 0, 15*time.Second)
	hooks.Timeout = 3 * time.Second // in which the record is taken
	_, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: was + 5})
	if !errors.Is(err, backdoor.ErrNoAnswer) || !isHook(err, uapi.ResQueued, 0) {
		t.Errorf("under the lock: %v", err)
	}
	k.unlock(t, held)
	for end := time.Now().Add(time.Minute); k.guestNumber(t, file) != was+5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a minute after the release it is %d", k.guestNumber(t, file))
		}
	}
	hooks.Timeout = 0
	if before, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobSwappiness, Value: was}); err != nil || before != was+5 {
		t.Errorf("after the lock: before %d, %v", before, err)
	}
}
