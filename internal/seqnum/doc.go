// SPDX-License-Identifier: Apache-2.0

// Package seqnum is arithmetic on sequence numbers that wrap around: 32 bits
// for TCP (§2, RFC 9293 section 3.4) and 24 bits for the packet sequence numbers of
// RoCEv2.
//
// The trap: a plain a < b is wrong once in four gigabytes and right in every
// test. A Value or a PSN has no operators that a caller could reach for by
// mistake to compare; Less holds for numbers less than half the space apart.
//
//	next := seqnum.Value(0xfffffffe).Add(5) // 3
//	if una.Less(ack) && ack.LessEq(nxt) {
//		acked = una.Size(ack)
//	}
package seqnum
