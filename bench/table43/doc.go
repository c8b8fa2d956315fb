// SPDX-License-Identifier: Apache-2.0

// Table43 measures what fault tolerance costs the three applications, and how well
// LLT and CGC bound what is kept (§4.7): Tables 4.1 to 4.4 in one, Figure 4.7 and
// Figure 4.8. Each is run without logs (the base), under the paper's policy (a
// checkpoint when a node's logs exceed L % of the shared memory), and with the same L
// at barriers only, where all nodes take theirs at once.
//
// The trap: the paper's nodes had a processor each. Where nodes share processors, what
// a daemon does beside its program is in the program's time too, and barriers wait for
// whoever did not run: the increase against the base of the same machine says
// something, the seconds do not.
//
//	go run ./bench/table43
//	go run ./bench/table43 --figure 4.7
//	go run ./bench/table43 --figure 4.8
//	go run ./bench/table43 --figure long // so many steps that each node takes 20 checkpoints
package main
