// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"

	"lazystate/tools/control"
)

// hub gives every event to all who watch; a watcher that does not keep up
// misses some, and nobody waits for it.
type hub struct {
	mu   sync.Mutex
	subs map[chan control.Event]bool
}

func (h *hub) subscribe() (events <-chan control.Event, cancel func()) {
	c := make(chan control.Event, 256)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs == nil {
		h.subs = map[chan control.Event]bool{}
	}
	h.subs[c] = true
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subs, c)
	}
}

func (h *hub) publish(ev control.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.subs {
		select {
		case c <- ev:
		default:
		}
	}
}
