// SPDX-License-Identifier: Apache-2.0

// Package steer brings a client's segments to the server that has its session
// now, without the client's TCP or its application noticing (§2.5.2). It is
// eBPF in C (bpf/) at the hooks of traffic control, and the Go that loads,
// attaches, asks and cleans up.
//
//	Agent    at the client, where Cooperation begins and ends: rewrites addresses,
//	         ports and, where a path changes them, sequence numbers of the
//	         sessions that have moved; and at a Gateway that the client's traffic
//	         crosses, where it is the same engine without a client's socket, and
//	         keeps what it holds back
//	Server   offers migration on SYN+ACKs; takes the handshake of a move out of the
//	         stream before TCP sees it; holds flows: early segments at the new
//	         server, everything at the old one until MOVED
//	Sender   puts raw segments of the handshake on the wire
//
// A session at the agent is
//
//	MIGRATING  what the application writes is held back; what S1 sends is passed
//	           on, but its acknowledgements are as of the beginning
//	SWITCHED   S1 is a BLACKHOLE; nothing leaves, for S2 may have no socket yet
//	MOVED      S2 has spoken, which opens the way out
//
// SWITCHED becomes MOVED in the kernel at S2's first segment or MIGRATE_ARRIVED,
// everything else by the agent. That segment can be lost: S2 repeats it until it
// hears the client. MIGRATING has a deadline, so an agent that dies is a move that did
// not happen. An acknowledgement never leaves for what the current server has
// not sent yet: whatever S1's last segments do between switch and query, S2 is
// not told of bytes it does not know to have sent (the deadlock of §3.6.5).
//
// The trap: RST. Four kernels are willing to send one: S1's when its socket is
// gone, S2's when it is not there yet, the client's at the SYN+ACK it did not ask
// for, S1's once more, late. So S2 holds the flow before it answers, S1 until it
// hears MOVED, and the client's programs hide the handshake and blackhole S1.
//
// A kernel needs bpf_loop (5.17); TCX comes with 6.6, before it programs are
// attached to clsact. Probe says what is missing by name.
//
//	a, err := steer.Open(steer.Config{Interfaces: []string{"eth0"}})
//	defer a.Close()
//	n, err := a.Begin(flow, steer.Try{Server: s2, For: 3 * time.Second}) // MIGRATING
//	... SYN from n.SndNxt-1 with MIGRATE_REQUEST{n.RcvNxt}; SYN+ACK by a.Next ...
//	n, err = a.Switch(flow)                                              // SWITCHED
//	... ACK with RCVD_WHILE_MIGRATING{n.RcvNxt - reply.LSRC} ...
//	s, err := a.Session(flow)                                            // MOVED
package steer
