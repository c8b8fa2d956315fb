// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
)

// LockOptions says who asks for the remote OS lock (§3.9.1), and how.
type LockOptions struct {
	Slot uint32   // monitor slot
	Key  uapi.Key // of that slot

	Lease time.Duration // the target thaws by itself when it ends; 1 ms to 60 s, 3 s if 0
	Drain time.Duration // how long the target waits for CPUs inside the kernel
	Flags uint32        // uapi.LockNMI, LockSpare (set where the carrier needs a CPU), LockDrain

	// Timeout bounds the wait for the target's answer; Drain + 5 s if 0.
	Timeout time.Duration
}

// LockRefusedError is the target's no.
type LockRefusedError struct {
	Reason uint32 // uapi.Refuse*
	Holder uint32 // with RefuseBusy: the slot that holds the lock
}

func (e *LockRefusedError) Error() string {
	if e.Reason == uapi.RefuseBusy {
		return fmt.Sprintf("target refuses the lock: monitor %d holds it", e.Holder)
	}
	return "target refuses the lock: " + uapi.LockRefusalName(e.Reason)
}

var (
	// ErrLeaseLost: the target thawed (or was taken over) while this side
	// believed to hold the lock. What was read since is not one view.
	ErrLeaseLost = errors.New("lease of the remote OS lock was lost")

	// ErrNoAnswer: the target's side of a protocol did not answer in time.
	ErrNoAnswer = errors.New("target does not answer")
)

const (
	defaultLease = 3 * time.Second
	fenceDrain   = 50 * time.Millisecond
	answerTime   = 5 * time.Second
	firstPoll    = 200 * time.Microsecond
	slowestPoll  = 2 * time.Millisecond
)

func (o *LockOptions) check() error {
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	if o.Timeout == 0 {
		o.Timeout = o.Drain + answerTime
	}
	switch {
	case o.Slot >= uapi.Monitors:
		return fmt.Errorf("monitor slot %d: a target has %d", o.Slot, uapi.Monitors)
	case o.Lease < time.Millisecond || o.Lease > time.Minute:
		return fmt.Errorf("lease of %s: 1 ms to 60 s", o.Lease)
	case o.Drain < 0 || o.Drain >= o.Lease:
		return fmt.Errorf("drain time of %s in a lease of %s", o.Drain, o.Lease)
	}
	return nil
}

// Lock stops the target's CPUs and returns when all that can be stopped are.
// The lease is renewed in the background until Unlock. A *LockRefusedError is
// the target's refusal, ErrNoAnswer its silence.
func (t *Target) Lock(ctx context.Context, o LockOptions) (*Held, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if t.mem.Caps().NeedsCPU { // who is to be asked to thaw must be able to hear it
		o.Flags |= uapi.LockSpare
	}
	var h *Held
	err := t.around(ctx, func() error {
		v, err := t.awaitLock(ctx, o.Timeout, func(*LockView) (bool, error) { return true, nil })
		if err != nil {
			return err
		}
		seq := t.seq.next(uapi.KindLockReq, o.Slot, v.AcceptedSeq[o.Slot])
		h = &Held{t: t, o: o, epoch: uint32(seq), asked: time.Now()}
		if h.view, err = h.acquire(ctx, seq); err != nil {
			var no *LockRefusedError
			if !errors.As(err, &no) {
				h.abandon()
			}
			return err
		}
		h.start()
		return nil
	})
	if err != nil {
		if h != nil && h.stop != nil { // held, but not of the machine that was opened
			h.end()
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	return h, nil
}

// acquire writes the request and waits for the grant.
func (h *Held) acquire(ctx context.Context, seq uint64) (*LockView, error) {
	if err := h.request(ctx, uapi.WantLock, seq); err != nil {
		return nil, err
	}
	return h.t.awaitLock(ctx, h.o.Timeout, func(v *LockView) (bool, error) {
		switch {
		case v.RefusedSeq[h.o.Slot] == seq:
			return false, &LockRefusedError{v.Refusal[h.o.Slot], v.Holder}
		case v.AcceptedSeq[h.o.Slot] < seq:
			return false, nil
		case v.State == uapi.LockFree || v.State == uapi.LockFenced:
			return false, ErrLeaseLost
		}
		return h.owns(v) && v.State == uapi.LockHeld, nil
	})
}

func (h *Held) owns(v *LockView) bool {
	return (v.State == uapi.LockHeld || v.State == uapi.LockStopping) && v.Holder == h.o.Slot && v.Epoch == h.epoch
}

// request writes one record: the body, then the commit word that makes it one.
func (h *Held) request(ctx context.Context, want uint32, seq uint64) error {
	r := uapi.LockReq{
		Want: want, Epoch: h.epoch, LeaseMs: uint32(h.o.Lease / time.Millisecond), DrainMs: uint32(h.o.Drain / time.Millisecond),
		Flags: h.o.Flags, Monitor: h.o.Slot, Seq: seq, Commit: uint32(seq),
	}
	r.Sign(h.o.Key, h.t.root.BootID, uapi.KindLockReq)
	return h.t.writeRequest(ctx, uapi.KindLockReq, h.o.Slot, r.Encode())
}

// writeRequest writes a request for the lock or the fence into a slot, its commit word behind
// the rest.
func (t *Target) writeRequest(ctx context.Context, kind, slot uint32, b []byte) error {
	area, err := t.Region(kind)
	if err != nil {
		return err
	}
	off := uint64(slot) * uapi.LockReqSize
	body, commit := b[:uapi.LockReqCommitOff], b[uapi.LockReqCommitOff:uapi.LockReqReservedOff]
	if err := t.Do(ctx, area.Write(off, body), area.Write(off+uapi.LockReqCommitOff, commit)); err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	return nil
}

// awaitLock polls the acknowledgement until done says yes or an error.
func (t *Target) awaitLock(ctx context.Context, bound time.Duration, done func(*LockView) (bool, error)) (*LockView, error) {
	var v *LockView
	err := await(ctx, bound, func(ctx context.Context) (ok bool, err error) {
		v, err = t.LockView(ctx)
		switch {
		case errors.Is(err, ErrTorn): // its writer may be a virtual CPU that was taken off in mid-write
			return false, nil
		case err != nil:
			return false, err
		}
		return done(v)
	})
	if errors.Is(err, ErrNoAnswer) && v != nil {
		err = fmt.Errorf("%w: lock is %s", err, uapi.LockStateName(v.State))
	}
	return v, err
}

// await polls until done says yes or an error. After bound it is ErrNoAnswer,
// also where a carrier keeps a batch for ever.
func await(ctx context.Context, bound time.Duration, done func(context.Context) (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for wait := firstPoll; ; wait = min(2*wait, slowestPoll) {
		ok, err := done(limited)
		if err == nil && !ok {
			err = pause.For(limited, wait)
		}
		switch {
		case limited.Err() != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("%w after %s", ErrNoAnswer, bound)
		case ok || err != nil:
			return err
		}
	}
}

// FenceOptions says who fences.
type FenceOptions struct {
	Slot    uint32
	Key     uapi.Key
	Timeout time.Duration // until all CPUs have stopped; 5 s if 0

	// Seen is how long some CPU may take to see the request, where the port is cut
	// anyway; 0: Timeout. If none has after a few PollPeriods, none takes interrupts,
	// and one that does so later stops at once: its poll is overdue.
	Seen time.Duration

	// Heir has the sessions from then on; 0: who has them now. If that is another, it
	// has to be the one that this supersedes, which must be fenced: *HeirError.
	Heir, Supersedes Heir
}

// PollPeriod is how often each CPU of a target looks for requests, that of its NIC
// more often (kmod/bd_poll.c).
const PollPeriod = 10 * time.Millisecond

// FreeError is a fence that stands while CPUs still run: they answered neither
// IPI nor NMI, and stop as soon as they enable interrupts.
type FreeError struct{ Free CPUMask }

func (e *FreeError) Error() string {
	return fmt.Sprintf("fenced, but CPUs %s did not answer and may run on with interrupts off", e.Free)
}

// PortOnlyError is a fence that holds at the target's port alone: nobody hears
// anything of it any more, and it does not hear either. The request lies in its
// memory, but its CPUs did not say that they have stopped; those that run later
// stop then, and until they do what they know may change.
type PortOnlyError struct{ Err error } // why the rest does not hold

func (e *PortOnlyError) Error() string { return "fenced at its port alone: " + e.Err.Error() }
func (e *PortOnlyError) Unwrap() error { return e.Err }

// Fence stops the target for good: it runs no user and no network code until
// it is reset, whoever dies. When Fence returns nil or a *PortOnlyError, no segment
// of its TCP leaves it any more (§3.5.1, fail-stop). Over a carrier that needs one
// of its CPUs, that CPU goes on, and sends the carrier's frames and no others.
//
// ErrNoRegion if it was not loaded with allow_fence; a *FreeError names the CPUs
// that did not stop in time; a *HeirError is another's inheritance, and no fence.
func (t *Target) Fence(ctx context.Context, o FenceOptions) error {
	if o.Timeout == 0 {
		o.Timeout = answerTime
	}
	if o.Slot >= uapi.Monitors {
		return fmt.Errorf("fence: monitor slot %d: a target has %d", o.Slot, uapi.Monitors)
	}
	err := t.around(ctx, func() error {
		heir, above, err := o.inherits(ctx, t)
		if err != nil {
			return err
		}
		seq := t.seq.next(uapi.KindFence, o.Slot, above)
		r := uapi.FenceReq{Want: uapi.FenceWant, Epoch: uint32(seq), Heir: uint32(heir), Monitor: o.Slot, Seq: seq, Commit: uint32(seq)}
		if t.mem.Caps().NeedsCPU { // and none of the others may be inside the kernel, with a lock that it needs
			r.Flags, r.DrainMs = uapi.LockSpare|uapi.LockDrain, uint32(fenceDrain/time.Millisecond)
		}
		r.Sign(o.Key, t.root.BootID)
		if err := t.writeRequest(ctx, uapi.KindFence, o.Slot, r.Encode()); err != nil {
			return err
		}
		posted := time.Now()
		v, err := t.awaitLock(ctx, o.Timeout, func(v *LockView) (bool, error) {
			switch {
			case v.RefusedSeq[o.Slot] == seq:
				return false, &LockRefusedError{v.Refusal[o.Slot], v.Holder}
			case v.State != uapi.LockFenced && o.Seen > 0 && t.mem.Caps().CutsPort && time.Since(posted) > o.Seen:
				return false, fmt.Errorf("%w after %s", ErrNoAnswer, o.Seen)
			}
			return v.State == uapi.LockFenced && v.Free.Empty(), nil
		})
		silent := errors.Is(err, ErrNoAnswer)
		if silent && v != nil && v.State == uapi.LockFenced {
			err = &FreeError{v.Free}
		}
		if silent && t.mem.Caps().CutsPort {
			err = &PortOnlyError{err}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("fence: %w", err)
	}
	return nil
}
