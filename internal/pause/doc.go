// SPDX-License-Identifier: Apache-2.0

// Package pause waits for a while, or for the end of a context: time.Sleep for
// whoever can be told to stop. The drivers of §3.6, the lab, the drills and the
// benches all do.
//
// The trap: a pause is at least as long as asked for, and on a busy machine much
// longer. Who needs a moment and not a distance asks for time.Until of it.
//
//	for !done() {
//		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
//			return err
//		}
//	}
package pause
