// SPDX-License-Identifier: Apache-2.0

// Package perftest is the server's side of perftest's latency and bandwidth
// tests, as far as it is needed to be measured by the stock clients: they
// introduce themselves over TCP, in lock step, and each end tells number, key and
// address of its queue pair as text (perftest 4.5, perftest_communication.c;
// §3.9.3's raw latencies).
//
// The trap: ib_write_lat is a game of two: the server begins, and each end
// waits for the last byte of the other's WRITE in its own memory.
//
//	s := perftest.Server{Device: dev, Test: perftest.ReadLat, Size: 64}
//	err := s.Serve(ctx, tcpConn)
package perftest
