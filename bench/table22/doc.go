// SPDX-License-Identifier: Apache-2.0

// Command table22 measures Table 2.2 (§2.7.1): what the calls of a service
// continuation cost a process, by the size of the state.
//
// The trap: the paper's register pins buffers and maps them into the kernel. Here
// the snapshot buffers are part of the box, which is shared memory from the
// beginning, so nothing is left of register and unregister but to make the box
// and to give it up: that is what is measured under their names. Our lazy export
// takes a checksum of all of the state, which theirs did not.
//
//	go run ./bench/table22 --runs 200
package main
