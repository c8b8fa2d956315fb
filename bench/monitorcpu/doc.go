// SPDX-License-Identifier: Apache-2.0

// Command monitorcpu measures what a monitor costs the machine it runs on
// (§3.9.3): CPU time of this process while it watches a Sensor Box of 100
// progress sensors, free-running and with periods of 1, 10 and 100 ms. The
// paper's monitor used 46 % free-running, 5 % at 10 ms and under 1 % at 100 ms.
//
// The trap: over the emulated intelligent NIC a fetch never waits, so a free
// loop uses a whole processor by definition; what it says is the cost of one
// sample. The sensors move a thousand times a second, by another process, so
// that no sample finds the box unchanged.
//
// A loop that only sleeps and wakes is measured beside it. Wake-ups are counted
// too: their number says more than the CPU time where the host is busy.
//
//	go run ./bench/monitorcpu --runs 3
package main
