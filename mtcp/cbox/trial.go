// SPDX-License-Identifier: Apache-2.0

package cbox

import "lazystate/backdoor/uapi"

// Try says that the session came out of a dead machine's memory, and that nobody
// knows yet whether to go on with it is what kills machines (§3.6.3): between Plant
// and Thaw. again: it was on trial at a machine that has died. Whoever reads the box
// out of this machine's memory, should it die, sees so.
func (b *Box) Try(again bool) {
	trial := uint32(uapi.CboxTrial)
	if again {
		trial = uapi.CboxTrialAgain
	}
	b.m.put64(uapi.CboxHeadTriedOff, b.m.word64(uapi.CboxHeadExportsOff).Load())
	b.m.put32(uapi.CboxHeadTrialOff, trial)
}

// Acquit ends the trial: the session has lived here for long enough.
func (b *Box) Acquit() { b.m.put32(uapi.CboxHeadTrialOff, 0) }

// Trial is uapi.CboxTrial or CboxTrialAgain, or 0 once each process of the session
// has exported here: it has got over what it repeats.
func (b *Box) Trial() (uint32, error) {
	trial := b.m.word32(uapi.CboxHeadTrialOff).Load()
	if trial == 0 || b.m.word64(uapi.CboxHeadExportsOff).Load() == b.m.word64(uapi.CboxHeadTriedOff).Load() {
		return known(trial), nil
	}
	h, err := b.Head()
	if err != nil {
		return 0, err
	}
	return h.trial(b.Snapshot)
}

// Trial is Box.Trial of a box that is somewhere else.
func (im *Image) Trial() uint32 {
	trial, _ := im.Head.trial(func(slot uint32) (*Snapshot, error) { return im.Snapshots[slot], nil })
	return trial
}

func (h *Head) trial(last func(slot uint32) (*Snapshot, error)) (uint32, error) {
	if h.Trial == 0 {
		return 0, nil
	}
	slots, _ := h.Service()
	for _, slot := range slots {
		if h.ProcTable[slot].State == uapi.CboxProcDone {
			continue
		}
		s, err := last(slot)
		if err != nil {
			return 0, err
		}
		if s == nil || s.Order <= h.Tried {
			return known(h.Trial), nil
		}
	}
	return 0, nil
}

// known makes a word that nobody has written the one that says most.
func known(trial uint32) uint32 { return min(trial, uapi.CboxTrialAgain) }
