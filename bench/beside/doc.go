// SPDX-License-Identifier: Apache-2.0

// Package beside measures how near an application on the DSM comes to plain C threads
// that share the memory of one machine (§4.7): without logs and with them; and beside
// ArgoDSM, where bench/argo's command is given. All compute the same, to the bit.
//
// The trap: as many nodes as processors leave none for the daemons; what they do is in
// the programs' time.
//
//	var bench = beside.New(threads.SOR(200, 2), 2)
//
//	func main() { bench.Exit() }
package beside
