// SPDX-License-Identifier: Apache-2.0

// Command table21 measures Table 2.1 (§2.7.1): what a move by the client takes
// at the client (C), at the new server (S2) and at the old one (S1), with
// snapshots of 0, 1, 5 and 10 KB and services of one process and of two with
// three channels between them. No data flows.
//
// The trap: the paper gives the run in which the client waited least, of 200.
// That is the column "in the best run"; the points are medians. And its C ends
// when the connection to S2 is established, as ours does: S2 makes its socket
// after that.
//
//	go run ./bench/table21 --runs 200
package main
