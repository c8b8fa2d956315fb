// SPDX-License-Identifier: Apache-2.0

// Command fig211 draws Figure 2.11 (§2.7.1): the sequence numbers of the segments
// that a client's interface receives around a move, from an eager server with
// snapshots of 10 KB; and what the figure marks: the first segment of the old
// server after the move was asked for, its last one, and the first of the new.
//
// The trap: what the application reads says nothing of who sent it. The trace is
// of a packet socket, in front of the agent's programs, where the new server
// still has its own address.
//
//	go run ./bench/fig211 --mbit 100
package main
