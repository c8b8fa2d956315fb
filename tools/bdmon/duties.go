// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
)

// duties are done one after another, in their order; who gives one never waits.
type duties struct {
	mu    sync.Mutex
	queue []func()
	wake  chan struct{}
}

func newDuties() *duties { return &duties{wake: make(chan struct{}, 1)} }

func (d *duties) post(duty func()) {
	d.mu.Lock()
	d.queue = append(d.queue, duty)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// take returns all that is to be done now.
func (d *duties) take() []func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.queue
	d.queue = nil
	return all
}

// run ends with ctx; what was not begun by then is not done.
func (d *duties) run(ctx context.Context) {
	for {
		for _, duty := range d.take() {
			if ctx.Err() != nil {
				return
			}
			duty()
		}
		select {
		case <-d.wake:
		case <-ctx.Done():
			return
		}
	}
}
