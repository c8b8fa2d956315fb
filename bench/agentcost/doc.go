// SPDX-License-Identifier: Apache-2.0

// Command agentcost measures what a client's agent costs a client (§2.5.2): bulk
// throughput and the rate of 100-byte ping-pong, of connections with no agent,
// with one that knows nothing of the connection, and of connections that it has
// moved, whose every segment it rewrites, at TCX and at clsact; and iperf3, which
// no one here wrote, with and without an agent.
//
// The trap: at these rates the processors are the network, and their clock and
// neighbours move more than what is measured. All ways are measured in turns, and
// each is compared with the one without an agent in the same round.
//
//	go run ./bench/agentcost --runs 9
package main
