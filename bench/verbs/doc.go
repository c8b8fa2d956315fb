// SPDX-License-Identifier: Apache-2.0

// Command verbs measures the project's RDMA between two processes of one host
// (§3.3, §3.9.3: the raw latency of a remote read) beside what a program would
// use else: plain Go TCP request and reply, and UCX over TCP. Latencies are
// round trips of one operation at a time; --bandwidth is 64 KiB with 8 on their
// way, also without trains of packets and with a small MTU, to say what each is
// worth. The shared-memory path stands beside a bare copy. The notes say which of the
// project's bounds are kept.
//
// The traps: rounds of all carriers are interleaved, for on a machine that
// others use only ratios within a round mean something; both ends compete for
// the same CPUs; and UCX's *_lat figures are half round trips, doubled here.
//
//	go run ./bench/verbs
//	go run ./bench/verbs --bandwidth
package main
