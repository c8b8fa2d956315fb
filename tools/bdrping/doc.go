// SPDX-License-Identifier: Apache-2.0

// Bdrping tries an RDMA connection: it speaks the protocol of librdmacm's rping
// in both roles, and serves perftest's clients (ib_read_lat, ib_write_lat,
// ib_read_bw, ib_write_bw, ib_atomic_lat, ib_send_bw), over any of the project's
// providers. Its peer may be the same program, or the stock one on a machine
// with rdma_rxe or a real RNIC (§3.3, §3.9.1).
//
// The trap: a perftest client tells its server neither the test nor the size of
// its messages; both ends must be given the same.
//
//	bdrping server --device roce://10.77.0.1          # there: rping -c -a 10.77.0.1 -C 5 -v
//	bdrping client --device roce://10.77.0.1 10.77.0.2:7174
//	bdrping perftest --device roce://10.77.0.1 --test write_lat --size 64
package main
