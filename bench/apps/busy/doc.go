// SPDX-License-Identifier: Apache-2.0

// Command busy is the CPU-bound task of §3.9.3: it never blocks. Pinned to one
// processor it is the task of Figure 3.7; unpinned, on all of them, it measures
// what the sensors cost their target.
//
// The trap: the Go runtime has threads of its own that wake every 10 ms. On the
// busy processor they would be the very scheduling decisions that Figure 3.7
// waits for, so all threads but the busy ones keep away from it, and no signal
// preempts a busy one.
//
//	busy --cpu 1 --tasks 1 --for 30s   # one task, pinned to CPU 1
//	busy --tasks 2 --for 5s            # unpinned
package main
