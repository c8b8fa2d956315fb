// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/pause"
)

// Held is the remote OS lock in this monitor's hands. Its lease is renewed by
// a goroutine that ends with Unlock, or when the lease is lost.
type Held struct {
	t     *Target
	o     LockOptions
	epoch uint32
	view  *LockView

	asked    time.Time // for the grant: the lease began later than this
	released bool      // by Unlock

	stop    context.CancelFunc
	stopped chan struct{} // the renewer has ended
	lost    chan struct{} // closed when the lease was lost

	mu  sync.Mutex
	err error
}

// View tells how the target was stopped: drained or raw, and where each CPU was.
func (h *Held) View() *LockView { return h.view }

// Lost is closed when the lease was lost; Err then says why.
func (h *Held) Lost() <-chan struct{} { return h.lost }

// Err returns nil while the lock is held, else an error that is ErrLeaseLost.
func (h *Held) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

func (h *Held) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.stop, h.stopped, h.lost = cancel, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(h.stopped)
		h.keep(ctx)
	}()
}

// keep renews every third of the lease. A renewal that fails is tried again,
// soon, until the lease must have ended: counted from the request, for the
// target's began somewhere between it and the answer.
func (h *Held) keep(ctx context.Context) {
	valid, wait := h.asked.Add(h.o.Lease), h.o.Lease/3
	for pause.For(ctx, wait) == nil {
		began := time.Now()
		err := h.renew(ctx, time.Until(valid))
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			valid, wait = began.Add(h.o.Lease), h.o.Lease/3
		case errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrReplaced) || errors.Is(err, ErrWithdrawn) ||
			errors.Is(err, ErrGone) || !time.Now().Before(valid):
			h.lose(h.cause(err))
			return
		default:
			wait = min(h.o.Lease/30, time.Until(valid))
		}
	}
}

// cause prefers what the root says now: a renewal that a reset cut short ends
// with a silence, and the time for another has run out.
func (h *Held) cause(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if now := h.t.Check(ctx); now != nil && ctx.Err() == nil {
		return now
	}
	return err
}

func (h *Held) lose(err error) {
	if !errors.Is(err, ErrLeaseLost) {
		err = fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	close(h.lost)
}

// renew writes a record of the same epoch and waits until it is accepted. A
// carrier that keeps the batch must leave time for another try.
func (h *Held) renew(ctx context.Context, bound time.Duration) error {
	bound = min(bound, h.o.Lease/3)
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	if err := h.t.Check(ctx); err != nil {
		return err
	}
	seq := h.t.seq.next(uapi.KindLockReq, h.o.Slot, 0)
	if err := h.request(ctx, uapi.WantLock, seq); err != nil {
		return err
	}
	_, err := h.t.awaitLock(ctx, bound, func(v *LockView) (bool, error) {
		switch {
		case !h.owns(v):
			return false, fmt.Errorf("%w: lock is %s", ErrLeaseLost, uapi.LockStateName(v.State))
		case v.RefusedSeq[h.o.Slot] == seq:
			return false, fmt.Errorf("%w: %w", ErrLeaseLost, &LockRefusedError{v.Refusal[h.o.Slot], v.Holder})
		}
		return v.AcceptedSeq[h.o.Slot] >= seq, nil
	})
	return err
}

// Confirm asks the target whether the lock is still held, now: a repair calls
// it before it acts on what it read under the lock.
func (h *Held) Confirm(ctx context.Context) error {
	if err := h.Err(); err != nil {
		return err
	}
	return h.t.around(ctx, func() error {
		v, err := h.t.LockView(ctx)
		if err == nil && !h.owns(v) {
			err = fmt.Errorf("%w: lock is %s", ErrLeaseLost, uapi.LockStateName(v.State))
		}
		return err
	})
}

// Unlock lets the target run. The error is ErrLeaseLost if it did already.
// A call after one that succeeded does nothing; after one that did not, it
// tries again.
func (h *Held) Unlock(ctx context.Context) error {
	h.stopRenewing()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		return nil
	}
	if h.err != nil && !errors.Is(h.err, errUnlocked) {
		return fmt.Errorf("unlock: %w", h.err)
	}
	h.err = errUnlocked
	if err := h.release(ctx); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	h.released = true
	return nil
}

var errUnlocked = errors.New("lock was released")

// stopRenewing stops the renewals and waits for the renewer.
func (h *Held) stopRenewing() {
	h.stop()
	<-h.stopped
}

// release writes the request for FREE until the target has obeyed.
func (h *Held) release(ctx context.Context) error {
	if err := h.t.Check(ctx); err != nil {
		return err
	}
	seq := h.t.seq.next(uapi.KindLockReq, h.o.Slot, 0)
	if err := h.request(ctx, uapi.WantFree, seq); err != nil {
		return err
	}
	_, err := h.t.awaitLock(ctx, answerTime, func(v *LockView) (bool, error) {
		if v.RefusedSeq[h.o.Slot] == seq {
			return false, &LockRefusedError{v.Refusal[h.o.Slot], v.Holder}
		}
		return v.AcceptedSeq[h.o.Slot] >= seq && !h.owns(v), nil
	})
	return err
}

// abandon takes back a request that was not seen to be granted: a grant that
// comes late must not freeze the target for a whole lease.
func (h *Held) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if h.t.Check(ctx) == nil {
		_ = h.request(ctx, uapi.WantFree, h.t.seq.next(uapi.KindLockReq, h.o.Slot, 0))
	}
}

// end gives up a lock that turned out to be of no use.
func (h *Held) end() {
	h.stopRenewing()
	h.abandon()
}
