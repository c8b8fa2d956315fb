// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// CompChannel is a completion channel: completion queues that were armed
// report to it, and goroutines wait at it in Go's own poller.
type CompChannel struct {
	object
	dev  *Device
	h    driver.Channel
	file *os.File // a duplicate of the device's descriptor, in the poller

	reader chan struct{} // held by the goroutine that reads file
	news   chan struct{} // a CQ's event was handed on: for Next
	mu     sync.Mutex
	ready  []*CQ // handed on and not taken
}

// CreateCompChannel makes a completion channel.
//
// Implements:
//
//	struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *context)
func (d *Device) CreateCompChannel() (*CompChannel, error) {
	ch := &CompChannel{dev: d, reader: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	if err := ch.attach("channel", &d.object); err != nil {
		return nil, err
	}
	if err := ch.made(ch.create()); err != nil {
		return nil, err
	}
	return ch, nil
}

func (ch *CompChannel) create() (uint32, error) {
	h, fd, err := ch.dev.drv.CreateChannel()
	if err != nil {
		return 0, err
	}
	// The device closes its descriptor and os.File its own.
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("duplicate its descriptor: %w", err), ch.dev.drv.DestroyChannel(h))
	}
	ch.h, ch.file = h, os.NewFile(uintptr(dup), "completion channel")
	return uint32(h), nil
}

// Close destroys the channel; *BusyError while a CQ reports to it.
//
// Implements:
//
//	int ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
func (ch *CompChannel) Close() error {
	return ch.close(func() error {
		return errors.Join(ch.file.Close(), ch.dev.drv.DestroyChannel(ch.h))
	})
}

// Next waits for an event of any CQ of the channel that was armed.
//
// Implements:
//
//	int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context)
//	void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int nevents)
func (ch *CompChannel) Next(ctx context.Context) (*CQ, error) {
	for {
		if cq := ch.take(nil); cq != nil {
			return cq, nil
		}
		if err := ch.wait(ctx, ch.news); err != nil {
			return nil, fmt.Errorf("wait at %v: %w", ch, err)
		}
	}
}

// waitFor waits for an event of cq and leaves those of others for them.
func (ch *CompChannel) waitFor(ctx context.Context, cq *CQ) error {
	for ch.take(cq) == nil {
		if err := ch.wait(ctx, cq.news); err != nil {
			return err
		}
	}
	return nil
}

// take returns one queue that has an event; want, if that is not nil.
func (ch *CompChannel) take(want *CQ) *CQ {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for i, cq := range ch.ready {
		if want == nil || cq == want {
			ch.ready = append(ch.ready[:i], ch.ready[i+1:]...)
			if want == nil && len(ch.ready) > 0 {
				poke(ch.news) // another waits perhaps, and one piece of news is all there can be
			}
			return cq
		}
	}
	return nil
}

// wait returns when there may be news: another goroutine handed an event on,
// or this one was the reader and read one.
func (ch *CompChannel) wait(ctx context.Context, news <-chan struct{}) error {
	select {
	case <-news:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case ch.reader <- struct{}{}:
	}
	defer func() { <-ch.reader }()
	select {
	case <-news: // while we became the reader
		return nil
	default:
	}
	return ch.read(ctx)
}

// read takes one event off the device's channel and hands it to its CQ.
func (ch *CompChannel) read(ctx context.Context) error {
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		ch.file.SetReadDeadline(time.Unix(1, 0))
		close(expired)
	})
	defer func() {
		if !stop() {
			<-expired
			ch.file.SetReadDeadline(time.Time{})
		}
	}()
	raw, err := ch.file.SyscallConn()
	if err != nil {
		return err
	}
	var h driver.CQ
	var nextErr error
	err = raw.Read(func(uintptr) bool {
		h, nextErr = ch.dev.drv.NextCQ(ch.h)
		return h != 0 || nextErr != nil
	})
	switch {
	case nextErr != nil:
		return nextErr
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrClosed):
		return ErrClosed
	case err != nil:
		return err
	}
	ch.hand(h)
	return nil
}

func (ch *CompChannel) hand(h driver.CQ) {
	o, ok := ch.dev.byHandle.Load(h)
	if !ok {
		return // destroyed since
	}
	cq := o.(*CQ)
	ch.mu.Lock()
	ch.ready = append(ch.ready, cq)
	ch.mu.Unlock()
	poke(cq.news)
	poke(ch.news)
}

func poke(news chan struct{}) {
	select {
	case news <- struct{}{}:
	default:
	}
}

// forget drops the events of a queue that is closed.
func (ch *CompChannel) forget(cq *CQ) {
	for ch.take(cq) != nil {
	}
}
