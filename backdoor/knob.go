// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"lazystate/backdoor/uapi"
)

// Knob asks for one typed and bounded setting of the target's kernel.
type Knob struct {
	Knob      uint32 // uapi.Knob*
	Arg       uint32 // uid or pid
	Value     int64
	StartTime uint64 // with a pid
}

// PostKnob sets a knob and returns the value it had. A *HookError is the
// target's refusal; ErrNoAnswer with ResQueued in it means that the target took
// the request but its worker has not run in time.
func (h *Hooks) PostKnob(ctx context.Context, k Knob) (before int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	err = h.t.around(ctx, func() error {
		before, err = h.postKnob(ctx, k)
		return err
	})
	if err != nil {
		return before, fmt.Errorf("set knob %s: %w", uapi.KnobName(k.Knob), err)
	}
	return before, nil
}

func (h *Hooks) postKnob(ctx context.Context, k Knob) (int64, error) {
	reqs, err := h.t.Region(uapi.KindKnobReq)
	if err != nil {
		return 0, err
	}
	acks, err := h.t.Region(uapi.KindKnobAck)
	if err != nil {
		return 0, err
	}
	highest, err := h.accepted(ctx, acks, uapi.KnobAcksAcceptedSeqOff)
	if err != nil {
		return 0, err
	}
	i := h.nextKnob % uapi.KnobSlots
	h.nextKnob++
	seq := h.t.seq.next(uapi.KindKnobReq, h.slot, highest)
	s := uapi.KnobSlot{Knob: k.Knob, Arg: k.Arg, Value: k.Value, StartTime: k.StartTime, Seq: seq}
	s.Sign(h.key, h.t.root.BootID, i)
	n := uint64(h.slot)*uapi.KnobSlots + uint64(i)
	off := n * uapi.KnobSlotSize
	commit := binary.LittleEndian.AppendUint32(nil, uint32(seq))
	err = h.t.Do(ctx, reqs.Write(off, s.Encode()[:uapi.KnobSlotCommitOff]), reqs.Write(off+uapi.KnobSlotCommitOff, commit))
	if err != nil {
		return 0, fmt.Errorf("write slot: %w", err)
	}
	var res uapi.KnobResult
	err = h.await(ctx, func(ctx context.Context) (bool, error) { return h.knobResult(ctx, n, uint32(seq), &res) })
	switch {
	case errors.Is(err, ErrNoAnswer) && res.Result != uapi.ResNone:
		return 0, fmt.Errorf("%w: %w", err, &HookError{Result: res.Result})
	case err != nil:
		return 0, err
	case res.Result != uapi.ResDone:
		return 0, &HookError{Result: res.Result, Value: res.Value}
	}
	return res.Value, nil
}

// knobResult reads the answer twice: it is whole if both copies are one.
func (h *Hooks) knobResult(ctx context.Context, n uint64, seq uint32, res *uapi.KnobResult) (bool, error) {
	acks, err := h.t.Region(uapi.KindKnobAck)
	if err != nil {
		return false, err
	}
	a, b := make([]byte, uapi.KnobResultSize), make([]byte, uapi.KnobResultSize)
	if err := h.t.Do(ctx, acks.Read(n*uapi.KnobResultSize, a), acks.Read(n*uapi.KnobResultSize, b)); err != nil {
		return false, fmt.Errorf("read result: %w", err)
	}
	return decodeKnob(a, b, seq, res)
}

// decodeKnob takes the answer to request seq from two copies of its slot, and
// reports whether it is the last word on it. res stays as it was without one.
func decodeKnob(a, b []byte, seq uint32, res *uapi.KnobResult) (done bool, err error) {
	var r uapi.KnobResult
	if err := r.Decode(a); err != nil {
		return false, err
	}
	if !bytes.Equal(a, b) || r.SeqLo != seq || r.Result == uapi.ResNone {
		return false, nil
	}
	*res = r
	return r.Result != uapi.ResQueued, nil
}
