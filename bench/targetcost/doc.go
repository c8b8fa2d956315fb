// SPDX-License-Identifier: Apache-2.0

// Command targetcost measures what the sensors cost the target (§3.9.3:
// "participation in monitoring ... should be light-weight on a server node"):
// a CPU-bound program on every vCPU, without the module, with it, and with it
// while a monitor fetches the Sensor Box every 10 ms, in one boot.
//
// The trap: the host's noise is larger than the cost. The three conditions
// alternate in short rounds, forwards and backwards, and each round is compared
// with itself; a difference below the spread of the rounds is no difference.
//
//	go run ./bench/targetcost --runs 12
package main
