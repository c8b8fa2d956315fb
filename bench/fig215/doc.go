// SPDX-License-Identifier: Apache-2.0

// Command fig215 measures Figure 2.15 (§2.7.2): replies a second of a web server
// whose sessions could move, and do not, and of the plain one, at increasing
// rates of requests until neither keeps up; and what the boxes take of memory.
//
// The trap: a request is a connection here, as in the paper, so each also pays
// for a box that is made and given up. And the load runs on the same processors
// as the server: what saturates is both together, the same for both servers.
//
//	go run ./bench/fig215 --runs 5
package main
