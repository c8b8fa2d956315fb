// SPDX-License-Identifier: Apache-2.0

// Package shm is RDMA between two processes of one host, through memory that
// both map: the fast path that verbs.Dial takes by itself, and a fair model of
// a network card for what must not need the other side's CPU (§3.3).
//
// A device has an abstract unix socket, named after its GID. Over it a peer
// gets the files behind registrations (SCM_RIGHTS), a table that says which of
// them live, and a queue pair's segment: its state and a ring of messages.
// READ, WRITE and atomics are done by who asks: key lookup, checks, copy, or a
// locked instruction. SEND and WRITE_WITH_IMM go through the ring and need the
// receiver's process. A device and its sockets are for processes of the same
// user, or of root, in the same network namespace.
//
// The traps: everything in the segment is written by another process, so it is
// copied, then checked; only memory with a file behind it (Alloc, memfd) can be
// shared; who registers memory trusts its peers with the file's whole pages,
// read-only ones with reading; and a peer that is stopped (SIGSTOP) in the middle of a copy
// holds up the end of that registration.
//
//	dev, err := shm.Provider{}.Open(ctx, "node3")
//	cm, err := dev.CM()
//	l, err := cm.Listen(netip.MustParseAddrPort("10.0.0.3:7174"), 16)
package shm
