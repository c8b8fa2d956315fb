// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/binary"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
)

// Who can write into a monitor's connection, and has not its key, casts no vote
// for it: neither with a record of his own nor with one that was seen before.
func TestVotesNeedTheirMonitorsTag(t *testing.T) {
	hooks := map[string]struct {
		kind uint32
		ask  func(*asker, uint32) []Request
	}{
		"lock":  {uapi.KindLockReq, func(s *asker, slot uint32) []Request { return s.lock(slot, "lock", nil) }},
		"fence": {uapi.KindFence, func(s *asker, slot uint32) []Request { return s.lock(slot, "fence", nil) }},
		"kill":  {uapi.KindKillReq, func(s *asker, slot uint32) []Request { return s.kill(slot, 7, 8) }},
		"knob":  {uapi.KindKnobReq, func(s *asker, slot uint32) []Request { return s.knob(slot, args{"i": "3", "value": "5"}) }},
	}
	for name, h := range hooks {
		t.Run(name, func(t *testing.T) {
			gr := newGroup(t, Policy{Writes: map[uint32]Agreement{h.kind: {K: 2, Window: time.Second}}}, 0, 1, 2)
			forged := h.ask(&gr.asker, 1)
			for i := range forged { // as monitor 1's, with a bit of its tags turned
				forged[i].Data = forge(h.kind, forged[i].Data)
			}
			gr.ask(forged...)
			if gr.ask(h.ask(&gr.asker, 0)...); len(gr.written) != 0 {
				t.Fatal("a vote without its tag counts")
			}
			real := h.ask(&gr.asker, 1)
			if gr.ask(real...); len(gr.written[h.kind]) == 0 {
				t.Fatal("a vote with its tag does not count")
			}
			clear(gr.written)
			gr.now += time.Minute
			gr.ask(real...) // a recording
			if gr.ask(h.ask(&gr.asker, 0)...); len(gr.written) != 0 {
				t.Error("a vote of the past counts")
			}
		})
	}
}

// forge turns a bit of each tag in a part of a record.
func forge(kind uint32, b []byte) []byte {
	size, tag := uapi.LockReqSize, uapi.LockReqTagOff
	switch kind {
	case uapi.KindKillReq:
		size, tag = uapi.KillSlotSize, uapi.KillSlotTagOff
	case uapi.KindKnobReq:
		size, tag = uapi.KnobSlotSize, uapi.KnobSlotTagOff
	}
	for at := tag; at+8 <= len(b); at += size {
		binary.LittleEndian.PutUint64(b[at:], binary.LittleEndian.Uint64(b[at:])^1)
	}
	return b
}
