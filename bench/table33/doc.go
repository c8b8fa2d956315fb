// SPDX-License-Identifier: Apache-2.0

// Command table33 measures Table 3.3 (§3.9.5): the time of a repair against the
// number of processes. A fork bomb of that size is released in the target; the
// process healer reads the process table through the backdoor, names the user
// and kills every process under the remote OS lock.
//
// The trap: "repaired" can mean that the last kill was posted, that it was read
// back, or that the last process is gone. The paper posts signals; the first
// series ends when every kill has been read back and the target runs again, the
// second when no culprit has memory any more, which is the target's own work.
// Times under TCG are an interpreter's; the counts of remote reads and batches
// carry over to a network, where each batch is a round trip.
//
//	go run ./bench/table33 --runs 5
//	go run ./bench/table33 --wire   # over rdma_rxe, beside the same with batches of one
package main
