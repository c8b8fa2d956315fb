// SPDX-License-Identifier: Apache-2.0

// Command boxcost measures what it costs a server that its sessions can be salvaged
// (§3.9.3, Table 3.2, columns of the calls): the calls of a continuation box in
// memory of the module and in a memfd, and a round trip over a connection that has
// one, in instructions.
//
// The trap: an emulated processor's time says nothing of a cost of a percent. The
// emulator counts instructions (-icount), one is a nanosecond of the guest's clock,
// so the host's load does not show; nor do caches. The three conditions are of one
// boot.
//
//	go run ./bench/boxcost --runs 20
package main
