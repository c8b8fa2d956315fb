// SPDX-License-Identifier: Apache-2.0

// Command fig213 measures Figure 2.13 (§2.7.2): successful replies a second of an
// overloaded web server, plain and with sessions that move to a second server
// when they are not done within 10 s; success is done within 20 s. With --sizes
// it is Figure 2.14: the sizes of what was asked for and of what has moved, at
// the greatest load.
//
// The trap: on one machine with two processors, the load and both servers would
// fight for the same ones. So it is the servers' links that are overloaded (as
// the paper's: 600 replies of 19 KB a second fill 100 Mbit/s), and they are
// narrower, --mbit each, so that no processor is.
//
//	go run ./bench/fig213
//	go run ./bench/fig213 --sizes
package main
