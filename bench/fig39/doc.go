// SPDX-License-Identifier: Apache-2.0

// Command fig39 measures Figure 3.9, and with --latency Figure 3.10 (§3.9.4,
// failure-free overhead): replies a second, and how long clients wait for them, of the
// auction with a rising number of clients: base, with recoverable front ends, and with
// recoverable front ends and middle tiers.
//
// The trap: with TPC-W's think time of 7 s it takes thousands of clients to fill two
// processors that also run the database and the clients; --think shortens it for all
// three alike, and the figure says by how much. Conditions take turns, so that what the
// host does meanwhile is not one condition's.
//
//	go run ./bench/fig39
//	go run ./bench/fig39 --latency
package main
