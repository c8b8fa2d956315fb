// SPDX-License-Identifier: Apache-2.0

// Mtcpd is the client's agent of Migratory TCP (§2.5.2): with it, connections of
// this host's unchanged applications can go on with another server. It learns
// from SYN+ACKs which servers cooperate, moves a connection when it is told to,
// and rewrites its segments in the kernel (mtcp/steer). Policies (§2.6.2) tell it to
// when a server is slow, silent or gone, and servers may advise it to. On a router
// (--gateway) it does the same for the connections of others.
//
// The trap: without --pin, connections that have moved are cut off when mtcpd
// ends, for only its programs know where they are now.
//
//	mtcpd --interface eth0
//	mtcpd ls
//	mtcpd move --to 10.0.0.2:80 10.0.0.9:40000-10.0.0.1:80
package main
