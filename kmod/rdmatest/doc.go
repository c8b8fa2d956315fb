// SPDX-License-Identifier: Apache-2.0

// Package rdmatest tests backdoor_rdma.ko between two machines of the lab, on
// both kernels, over rxe (§3.3, §3.9.1). It has tests only.
//
// The monitor's side is kmod/test/peer.c over librdmacm and libibverbs: it
// shares no code with our own verbs, so that a mistake there cannot hide one
// here. What it reads is compared with QEMU's copy of the target's memory.
//
// The trap: an operation that is refused ends the queue pair. A test that goes
// on after one dials again, with a counter that has risen.
//
//	k := load(t, "6.1", "allow_repair=1")
//	c := k.dial(t, hello{})
//	b := c.read(t, c.grant.RootAddr, c.grant.RootKey, uapi.RootSize)
package rdmatest
