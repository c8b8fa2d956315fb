// SPDX-License-Identifier: Apache-2.0

// Command ttcp measures Figures 2.8, 2.9 and 2.10 (§2.7.1): the throughput of a
// stream of 400 MB with a snapshot each 8 KB, of 1, 5 and 10 KB, lazy and eager,
// for a client that stays and for clients that move every 2, 5 and 10 s, against
// the base server's, which has no boxes.
//
//	go run ./bench/ttcp                              # Figure 2.8
//	go run ./bench/ttcp --processes 2                # Figure 2.9
//	go run ./bench/ttcp --processes 2 --mute         # Figure 2.10: the writer takes no snapshots
//
// The trap: without a bound, 400 MB are through in less time than it takes to
// the first move; on the paper's 100 Mbit/s no processor is busy, and a library
// that costs nothing looks like one that costs little. So both are measured: the
// clients of the first kind have links of --mbit each, and read at the same time;
// the "unlimited" series is of a client that stays, alone, as fast as the
// processors go, in turns with the base server's.
package main
