// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"time"

	"lazystate/internal/futex"
)

// secondLook bounds every sleep: whoever should wake us may have been killed
// between what it did and the call that says so.
const secondLook = 50 * time.Millisecond

// sleep waits until one of two words no longer has its value, or for d at most.
// Wake-ups without cause are the rule; the caller looks again.
func (m memory) sleep(off uint64, seen uint32, off2 uint64, seen2 uint32, d time.Duration) {
	futex.WaitEither(m.word32(off), seen, m.word32(off2), seen2, min(d, secondLook))
}

// wake wakes all that sleep on a word.
func (m memory) wake(off uint64) { futex.Wake(m.word32(off)) }
