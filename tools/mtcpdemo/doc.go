// SPDX-License-Identifier: Apache-2.0

// Mtcpdemo shows sessions that move (§2): a client, a router and three servers,
// each a network namespace, with the real daemons (scd, mtcpd), the real web
// server (examples/web) and curl, which knows nothing. While it downloads, its
// session goes to other servers by the client's agent, with an address and by
// the gateway; a server is drained; a server's process is killed. Every file is
// verified, and a table at the end says for how long nothing came out of each curl.
//
// The trap: all of it shares one machine, so the pauses are the machine's as well.
//
//	make demo-migrate
//	mtcpdemo --size 64 --rate 8
package main
