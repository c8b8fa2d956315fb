// SPDX-License-Identifier: Apache-2.0

// Command fig212 draws Figure 2.12 (§2.7.1): a stream of 256 KB, in chunks of 1 KB
// at regular intervals with an eager snapshot after each, from servers that get
// slower and slower once they have sent 32 KB to a client; and a client that
// moves when the smoothed rate is 25 % under the most that its present server has
// given (mtcp/policy). Snapshots of 2, 10 and 16 KB, and one client that stays.
//
// The trap: how often it moves depends on how fast the servers decay, which the
// paper does not say. Here each further chunk waits an eighth of the interval
// longer than the one before.
//
//	go run ./bench/fig212 --runs 5
package main
