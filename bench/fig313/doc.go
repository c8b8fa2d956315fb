// SPDX-License-Identifier: Apache-2.0

// Command fig313 measures Figure 3.13 (§3.9.5): the time of the useful
// program's iterations against the number of fork bomb processes, CPU-bound and
// I/O-bound, without and with remote repair.
//
// The trap: the paper's scheduler recomputed priorities over all processes and
// so "grows unbounded"; Linux shares the processors fairly, so here the time
// grows in proportion to the processes, until nothing useful is left of it.
//
//	go run ./bench/fig313 --runs 2
package main
