// SPDX-License-Identifier: Apache-2.0

package rdma

// ring gives out pieces of a queue pair's registered memory. Work requests of one
// queue pair complete in order, so pieces come back in the order they went out.
type ring struct {
	base, size int // in the registration
	head, tail int // bytes given out and taken back, ever; head - tail are out
}

// align keeps the results of atomics on their words, and pieces off one another's
// cache lines.
const align = 64

// take returns a piece of n bytes; cost is what give wants back. ok is false
// while there is no room.
func (r *ring) take(n int) (off, cost int, ok bool) {
	need := (n + align - 1) &^ (align - 1)
	at := r.head % r.size
	cost = need
	if at+need > r.size { // it must not wrap: the end is left out
		cost += r.size - at
		at = 0
	}
	if r.head-r.tail+cost > r.size {
		return 0, 0, false
	}
	r.head += cost
	return r.base + at, cost, true
}

// give takes the oldest piece back.
func (r *ring) give(cost int) { r.tail += cost }

// reset takes all back: the queue pair is gone.
func (r *ring) reset() { r.head, r.tail = 0, 0 }
