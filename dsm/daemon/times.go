// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"time"

	"lazystate/backdoor/uapi"
)

// Times are where a program's time goes: the components of Figure 4.7. What the
// daemon does while the program computes is in none of its waits, and takes a
// processor all the same.
type Times struct {
	Pages    time.Duration `json:"pages_ns"`    // the program waits for page faults,
	Locks    time.Duration `json:"locks_ns"`    // acquires, releases and conditions,
	Barriers time.Duration `json:"barriers_ns"` // barriers,
	Calls    time.Duration `json:"calls_ns"`    // and all else that it asks for
	Busy     time.Duration `json:"busy_ns"`     // the daemon works, with the node's lock
	Taking   time.Duration `json:"taking_ns"`   // of that, to take checkpoints
	Writing  time.Duration `json:"writing_ns"`  // it writes them, behind the program's back
}

// called counts a call of a kind.
func (t *Times) called(kind uint32, took time.Duration) {
	switch kind {
	case uapi.DsmAcquire, uapi.DsmRelease, uapi.DsmWait, uapi.DsmSignal, uapi.DsmBroadcast:
		t.Locks += took
	case uapi.DsmBarrier:
		t.Barriers += took
	default:
		t.Calls += took
	}
}
