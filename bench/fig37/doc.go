// SPDX-License-Identifier: Apache-2.0

// Command fig37 measures Figure 3.7 (§3.9.3): a monitor samples the number of
// scheduling decisions of one processor, with a period equal to the detection
// deadline, while a CPU-bound task is pinned there. A sample that sees no
// change would declare a healthy node dead: a false positive.
//
// The trap: FreeBSD's scheduler looked at the processor at the end of every
// time slice (100 ms). Linux with one runnable task has no reason to decide
// anything, so the lone task of the paper stalls the counter far longer; a
// second series with two tasks shows the time slice. And a monitor that is
// late gives the counter more time than the deadline: samples later than a
// tenth of it are not counted, and their number is said.
//
//	go run ./bench/fig37 --runs 3
package main
