// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"errors"
	"fmt"

	"lazystate/verbs/driver"
)

// CQ is a completion queue. Its methods may be called by many goroutines; a
// completion goes to one of them.
type CQ struct {
	object
	dev    *Device
	h      driver.CQ
	ch     *CompChannel
	waiter driver.Waiter // nil: the device has none

	baton chan struct{} // held by who polls
	news  chan struct{} // an event was handed on: see CompChannel
	gone  bool          // under baton

	end    context.Context // ends at Close
	cancel context.CancelFunc
	last   context.Context // that merged was made for
	merged context.Context // ends with last or end; under baton
	unlast context.CancelFunc
}

// CreateCQ makes a completion queue of at least depth entries. ch may be nil:
// then Wait works only if the device can wait by itself (Waits says so).
//
// Implements:
//
//	struct ibv_cq *ibv_create_cq(struct ibv_context *context, int cqe, void *cq_context, struct ibv_comp_channel *channel, int comp_vector)
func (d *Device) CreateCQ(depth int, ch *CompChannel) (*CQ, error) {
	cq := &CQ{dev: d, ch: ch, baton: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	parents := []*object{&d.object}
	var hch driver.Channel
	if ch != nil {
		parents, hch = append(parents, &ch.object), ch.h
	}
	if err := cq.attach("cq", parents...); err != nil {
		return nil, err
	}
	var err error
	cq.h, err = d.drv.CreateCQ(depth, hch)
	if err := cq.made(uint32(cq.h), err); err != nil {
		return nil, err
	}
	cq.waiter, _ = d.drv.(driver.Waiter)
	cq.end, cq.cancel = context.WithCancel(context.Background())
	d.byHandle.Store(cq.h, cq)
	return cq, nil
}

// Waits reports whether Wait works.
func (cq *CQ) Waits() bool { return cq.waiter != nil || cq.ch != nil }

// Close destroys the queue; *BusyError while a queue pair completes to it. A
// goroutine in Wait gets ErrClosed.
//
// Implements:
//
//	int ibv_destroy_cq(struct ibv_cq *cq)
func (cq *CQ) Close() error {
	return cq.close(func() error {
		cq.cancel()
		cq.baton <- struct{}{}
		defer func() { <-cq.baton }()
		cq.gone = true
		if cq.unlast != nil {
			cq.unlast()
		}
		cq.dev.byHandle.Delete(cq.h)
		err := cq.dev.drv.DestroyCQ(cq.h)
		if cq.ch != nil {
			cq.ch.forget(cq)
		}
		return err
	})
}

// Poll takes up to len(wc) completions and does not wait. It may return 0
// while another goroutine is taking them.
//
// Implements:
//
//	int ibv_poll_cq(struct ibv_cq *cq, int num_entries, struct ibv_wc *wc)
func (cq *CQ) Poll(wc []WC) (int, error) {
	select {
	case cq.baton <- struct{}{}:
	default:
		return 0, nil
	}
	n, err := cq.poll(wc)
	<-cq.baton
	return n, err
}

func (cq *CQ) poll(wc []WC) (int, error) {
	if cq.gone {
		return 0, fmt.Errorf("poll %v: %w", cq, ErrClosed)
	}
	n, err := cq.dev.drv.PollCQ(cq.h, wc)
	if err != nil {
		err = fmt.Errorf("poll %v: %w", cq, err)
	}
	return n, err
}

// Arm asks for one event at the channel when the next completion comes; with
// solicitedOnly the next one that the peer marked, or that failed. Poll once
// more after arming: a completion that came before raises no event.
//
// Implements:
//
//	int ibv_req_notify_cq(struct ibv_cq *cq, int solicited_only)
func (cq *CQ) Arm(solicitedOnly bool) error {
	cq.baton <- struct{}{}
	defer func() { <-cq.baton }()
	return cq.arm(solicitedOnly)
}

func (cq *CQ) arm(solicitedOnly bool) error {
	err := ErrClosed
	if !cq.gone {
		err = cq.dev.drv.ArmCQ(cq.h, solicitedOnly)
	}
	if err != nil {
		return fmt.Errorf("arm %v: %w", cq, err)
	}
	return nil
}

// Wait takes up to len(wc) completions and waits for the first of them until
// ctx ends. It polls, then lets the device wait in the caller's thread if it
// can, else arms and waits at the channel. Do not mix it with Arm.
func (cq *CQ) Wait(ctx context.Context, wc []WC) (int, error) {
	select {
	case cq.baton <- struct{}{}:
	default:
		select {
		case cq.baton <- struct{}{}:
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for %v: %w", cq, ctx.Err())
		case <-cq.end.Done():
			return 0, fmt.Errorf("wait for %v: %w", cq, ErrClosed)
		}
	}
	n, err := cq.wait(ctx, wc)
	<-cq.baton
	return n, err
}

func (cq *CQ) wait(ctx context.Context, wc []WC) (int, error) {
	if n, err := cq.poll(wc); n > 0 || err != nil {
		return n, err
	}
	ctx = cq.untilClosed(ctx)
	n, err := cq.waitFirst(ctx, wc)
	switch {
	case err == nil:
		return n, nil
	case cq.end.Err() != nil && errors.Is(err, context.Canceled):
		err = ErrClosed
	}
	return n, fmt.Errorf("wait for %v: %w", cq, err)
}

func (cq *CQ) waitFirst(ctx context.Context, wc []WC) (int, error) {
	if cq.waiter != nil {
		return cq.waiter.WaitCQ(ctx, cq.h, wc)
	}
	if cq.ch == nil {
		return 0, fmt.Errorf("it has no completion channel: %w", ErrInvalid)
	}
	for {
		if err := cq.dev.drv.ArmCQ(cq.h, false); err != nil {
			return 0, err
		}
		if n, err := cq.dev.drv.PollCQ(cq.h, wc); n > 0 || err != nil {
			return n, err
		}
		if err := cq.ch.waitFor(ctx, cq); err != nil {
			return 0, err
		}
		if n, err := cq.dev.drv.PollCQ(cq.h, wc); n > 0 || err != nil {
			return n, err
		}
	}
}

// untilClosed returns a context that ends with ctx or with the queue. The one
// of the last call is kept, since callers wait in a loop with one context.
func (cq *CQ) untilClosed(ctx context.Context) context.Context {
	if cq.last == ctx && cq.merged.Err() == nil {
		return cq.merged
	}
	if cq.unlast != nil {
		cq.unlast()
	}
	merged, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(cq.end, cancel)
	cq.last, cq.merged = ctx, merged
	cq.unlast = func() { stop(); cancel() }
	return merged
}
