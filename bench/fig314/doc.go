// SPDX-License-Identifier: Apache-2.0

// Command fig314 measures Figure 3.14 (§3.9.5): the time of the useful
// program's iterations against the number of memory hogs under a controller
// that respawns them, without and with remote repair.
//
// The trap: what fits is not repaired. In the paper that were 5 processes of
// 512 MB in 1 GB of RAM and 2 GB of swap; here it is 16 MiB each in a machine of
// 256 MiB and 128 MiB of swap. They share its processors as any process does:
// hogs of the least weight hurt nobody, since the useful program's pages are
// always the younger ones. And exhaustion takes its time: swap is filled first,
// so a short window shows no repair at all.
//
//	go run ./bench/fig314 --runs 2
package main
