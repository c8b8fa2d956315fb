// SPDX-License-Identifier: Apache-2.0

// Package futex sleeps until a word of memory that processes share changes: the
// continuation box's counters (§2.4.2), the ring between a program and its DSM
// daemon (§4.3.2).
//
// The trap: whoever should wake a sleeper may be killed between the store that
// says so and the call. No sleep is for ever: every wait has a bound, waking
// without cause is the rule, and the caller looks again.
//
//	for seen := word.Load(); seen == before; seen = word.Load() {
//		futex.Wait(word, seen, 50*time.Millisecond)
//	}
package futex
