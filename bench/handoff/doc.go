// SPDX-License-Identifier: Apache-2.0

// Command handoff measures what a move costs whoever serves and whoever waits
// (§2.7.1; beside Prism's 232 us and Capybara's Linux baseline of about 50 us):
//
//	idle      one idle session goes with its address: from the freeze at the old
//	          server until the new one has said that it lives
//	batch     so many sessions go at once: processor time of both daemons a session
//	stall     the longest time for which a client that reads as fast as it can has
//	          read nothing, around a move by its agent; or one that writes could
//	          write nothing
//
// The trap: processor time is that of the daemons' threads; what the kernel does
// for them in interrupts is not in it. And a client that reads as fast as it can
// is one of two on this machine's processors with its server.
//
//	go run ./bench/handoff --runs 200 --batch 1000
package main
