// SPDX-License-Identifier: Apache-2.0

// Command table32 measures the last column of Table 3.2 (§3.9.3): what it costs to
// read a session, its socket and its continuation box, out of another machine's
// memory, by size of the snapshot, for one session and for each of many, over every
// carrier. The columns of the calls are bench/boxcost's.
//
// The trap: the paper's figure has the session reinstated, too; here it is read,
// checked and planned (salvage.Look), which is all that is done remotely. And the
// machine is not dead: its sessions are idle, so nothing moves while it is read, and
// rdma_rxe, which needs a CPU of it, can be compared.
//
//	go run ./bench/table32 --runs 20 --sessions 100
package main
