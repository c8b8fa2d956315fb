// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"lazystate/backdoor/uapi"
)

// Hooks posts to the repair hooks (§3.7.1) of a target as one monitor slot. It
// may be shared; its posts go one after the other, for the slots are the
// monitor's own.
type Hooks struct {
	// Timeout bounds the wait for the answer to one post; 5 s if 0.
	Timeout time.Duration

	t    *Target
	slot uint32
	key  uapi.Key

	mu       sync.Mutex
	last     []Kill // the batch whose results the target still shows
	lastSeq  uint64
	nextKnob uint32
}

// Hooks returns the hooks of a target for a monitor slot and its key.
func (t *Target) Hooks(slot uint32, key uapi.Key) (*Hooks, error) {
	if slot >= uapi.Monitors {
		return nil, fmt.Errorf("monitor slot %d: a target has %d", slot, uapi.Monitors)
	}
	return &Hooks{t: t, slot: slot, key: key}, nil
}

// Kill asks for a signal to a whole process. The start time (ns, of the
// leader's task_struct) keeps a reused pid from being hit.
type Kill struct {
	PID       uint32
	StartTime uint64
	Signal    uint32
}

// KillResult is what the target did with one Kill.
type KillResult struct {
	Kill
	Result uint32 // uapi.Res*; ResNone: no answer was seen
}

// Err returns nil if the signal was sent or will be at release (ResDeferred).
func (r KillResult) Err() error {
	if r.Result == uapi.ResDone || r.Result == uapi.ResDeferred {
		return nil
	}
	return &HookError{Result: r.Result}
}

// HookError is the target's refusal of a hook, or its failure.
type HookError struct {
	Result uint32 // uapi.Res*
	Value  int64  // knobs: -errno with ResError
}

func (e *HookError) Error() string {
	if e.Result == uapi.ResError {
		return fmt.Sprintf("hook: errno %d", -e.Value)
	}
	return "hook: " + uapi.ResultName(e.Result)
}

// PostKills posts signals in batches of up to BD_KILL_SLOTS, two writes each,
// and reads every result back. The results are in the order of kills and are
// returned with an error, too: those that were not read back say ResNone.
func (h *Hooks) PostKills(ctx context.Context, kills []Kill) ([]KillResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	results := make([]KillResult, len(kills))
	for i, k := range kills {
		results[i].Kill = k
	}
	err := h.t.around(ctx, func() error {
		for from := 0; from < len(kills); from += uapi.KillSlots {
			to := min(from+uapi.KillSlots, len(kills))
			if err := h.postBatch(ctx, kills[from:to], results[from:to]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return results, fmt.Errorf("post %d signals: %w", len(kills), err)
	}
	return results, nil
}

func (h *Hooks) postBatch(ctx context.Context, kills []Kill, results []KillResult) error {
	reqs, err := h.t.Region(uapi.KindKillReq)
	if err != nil {
		return err
	}
	post := make([]byte, 8)
	acks, err := h.t.Region(uapi.KindKillAck)
	if err != nil {
		return err
	}
	highest, err := h.accepted(ctx, acks, uapi.KillAcksAcceptedSeqOff, acks.Read(uapi.KillAcksPostAckOff+uint64(h.slot)*8, post))
	if err != nil {
		return err
	}
	shown := binary.LittleEndian.Uint64(post)
	seq := h.t.seq.next(uapi.KindKillReq, h.slot, highest)
	for uint32(seq) == uint32(shown>>32) { // else the post word could be the one it knows
		seq = h.t.seq.next(uapi.KindKillReq, h.slot, seq)
	}
	bodies := make([]byte, 0, len(kills)*uapi.KillSlotSize)
	for i, k := range kills {
		s := uapi.KillSlot{StartTime: k.StartTime, PID: k.PID, Signal: k.Signal, Seq: seq}
		s.Sign(h.key, h.t.root.BootID, uint32(i))
		bodies = append(bodies, s.Encode()...)
	}
	binary.LittleEndian.PutUint64(post, uint64(uint32(seq))<<32|uint64(len(kills)))
	err = h.t.Do(ctx,
		reqs.Write(uapi.KillReqsSlotOff+uint64(h.slot)*uapi.KillSlots*uapi.KillSlotSize, bodies),
		reqs.Write(uapi.KillReqsPostOff+uint64(h.slot)*8, post))
	if err != nil {
		return fmt.Errorf("write slots: %w", err)
	}
	h.last, h.lastSeq = append(h.last[:0], kills...), seq
	return h.await(ctx, func(ctx context.Context) (bool, error) { return h.readResults(ctx, results) })
}

// accepted reads, behind what else is asked for, the highest number that the
// target has taken of this slot: a monitor whose clock was set back goes on
// above it. The region of an older module has no such word.
func (h *Hooks) accepted(ctx context.Context, acks Region, off uint64, also ...Op) (uint64, error) {
	word := make([]byte, 8)
	if off += uint64(h.slot) * 8; acks.Len >= off+8 {
		also = append(also, acks.Read(off, word))
	}
	if len(also) == 0 {
		return 0, nil
	}
	if err := h.t.Do(ctx, also...); err != nil {
		return 0, fmt.Errorf("read results: %w", err)
	}
	return binary.LittleEndian.Uint64(word), nil
}

// readResults reports whether every result of the last batch is there.
func (h *Hooks) readResults(ctx context.Context, results []KillResult) (bool, error) {
	acks, err := h.t.Region(uapi.KindKillAck)
	if err != nil || len(results) == 0 {
		return err == nil, err
	}
	buf := make([]byte, len(results)*uapi.KillResultSize)
	if err := h.t.Do(ctx, acks.Read(uapi.KillAcksResultOff+uint64(h.slot)*uapi.KillSlots*uapi.KillResultSize, buf)); err != nil {
		return false, fmt.Errorf("read results: %w", err)
	}
	return decodeKills(buf, uint32(h.lastSeq), results)
}

// decodeKills takes the answers of one batch from a copy of its slots, and
// reports whether all are there. What is left of another batch is no answer.
func decodeKills(buf []byte, seq uint32, results []KillResult) (all bool, err error) {
	all = true
	for i := range results {
		var r uapi.KillResult
		if err := r.Decode(buf[min(i*uapi.KillResultSize, len(buf)):]); err != nil {
			return false, err
		}
		if r.SeqLo != seq || r.Result == uapi.ResNone {
			all = false
			continue
		}
		results[i].Result = r.Result
	}
	return all, nil
}

// Results reads the results of the last batch of at most BD_KILL_SLOTS again,
// until none is deferred: after the release of a lock they become done or gone.
func (h *Hooks) Results(ctx context.Context) ([]KillResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	results := make([]KillResult, len(h.last))
	for i, k := range h.last {
		results[i].Kill = k
	}
	err := h.t.around(ctx, func() error {
		return h.await(ctx, func(ctx context.Context) (bool, error) {
			all, err := h.readResults(ctx, results)
			return all && !slices.ContainsFunc(results, deferred), err
		})
	})
	return results, err
}

func deferred(r KillResult) bool { return r.Result == uapi.ResDeferred }

func (h *Hooks) await(ctx context.Context, done func(context.Context) (bool, error)) error {
	if h.Timeout == 0 {
		return await(ctx, answerTime, done)
	}
	return await(ctx, h.Timeout, done)
}
