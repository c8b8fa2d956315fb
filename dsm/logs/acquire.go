// SPDX-License-Identifier: Apache-2.0

package logs

import "lazystate/dsm/vtime"

// Acquire is a lock that went from one process to another.
type Acquire struct {
	Ordinal uint64 // of the acquirer's operation
	Lock    uint32
	Seq     uint64     // how often the lock has gone from one process to another
	T       vtime.Time // the acquirer's after it: T_new of §4.4.2
}

// Acquires is an acq_sent_log or acq_rcvd_log for one other process: those two
// are equal, so neither is saved, and each is rebuilt from the other (§4.4.2).
type Acquires []Acquire

// Add records an acquire. What is known stays.
func (a *Acquires) Add(e Acquire) { *a = insert(*a, e) }

// Trim discards the acquires up to the operation that the acquirer's checkpoint
// is behind (Lemma 3).
func (a *Acquires) Trim(ordinal uint64) { *a = trim(*a, ordinal) }

// Barrier is one barrier that is over. All processes pass the same barriers in
// the same order, so their number names them.
type Barrier struct {
	Number uint64
	ID     uint32
	T      vtime.Time // everybody's after it
}

// Barriers are in the order of their numbers.
type Barriers []Barrier

// Find returns the one of that number.
func (b Barriers) Find(number uint64) (Barrier, bool) {
	i, ok := find(b, number)
	if !ok {
		return Barrier{}, false
	}
	return b[i], true
}

// Add records a barrier. What is known stays.
func (b *Barriers) Add(e Barrier) { *b = insert(*b, e) }

// Trim discards the barriers up to number: those that everybody's checkpoint is
// behind.
func (b *Barriers) Trim(number uint64) { *b = trim(*b, number) }
