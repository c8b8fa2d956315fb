// SPDX-License-Identifier: Apache-2.0

// Command targetcost measures what the sensors cost the target (§3.9.3:
// "participation in monitoring ... should be light-weight on a server node"):
// a CPU-bound program on every vCPU, without the module, with it, and with it
// while a monitor fetches the Sensor Box every 10 ms, in one boot.
//
// The trap: the host's noise is larger than the cost. The three conditions
// alternate in short rounds, forwards and backwards, and each round is compared
// with itself; the work is counted per second of CPU time that the virtual
// machine got from the host, not per second. What the module does while the
// processors would idle is in it, for they never idle here. A difference below
// the spread of the rounds is no difference: the ratio is a bound. What the
// census takes is told by the target's own clock beside it.
//
// With --icount the emulator counts instructions instead, and the figure is
// another: what pieces of work and the census cost, to a hundredth of a percent,
// on a host however busy. It says nothing of caches.
//
//	go run ./bench/targetcost --runs 8
//	go run ./bench/targetcost --icount --runs 2
package main
