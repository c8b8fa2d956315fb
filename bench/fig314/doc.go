// SPDX-License-Identifier: Apache-2.0

// Command fig314 measures Figure 3.14 (§3.9.5): the time of the useful
// program's iterations against the number of memory hogs under a controller
// that respawns them, without and with remote repair.
//
// The trap: what fits does no harm, and nothing is repaired then. In the paper
// that were 5 processes of 512 MB in 1 GB of RAM and 2 GB of swap; here it is
// 16 MiB each in a machine of 256 MiB and 128 MiB of swap, with the least
// weight, lest they fit and still take the processors. And exhaustion takes
// its time: swap is filled first, so a short window shows no repair at all.
//
//	go run ./bench/fig314 --runs 2
package main
