// SPDX-License-Identifier: Apache-2.0

// Package mtcp is the arithmetic of sessions that move between servers: the
// synchronisation of Service Continuations (§2.4.4) and of Migratory TCP
// (§2.5.1 to §2.5.3). It is pure: positions go in, what to move, to log, to
// discard and to replay comes out.
//
// A session is served by a tree of processes that are joined by byte streams;
// the client's connection is two streams more. Each process exports snapshots
// when it likes, and a move may come at any moment. The new processes begin at
// their last snapshots and repeat what came after them. So that nobody else
// notices,
//
//   - a reader gets once more what its writer will not write again (Reader: the
//     log, from lsr on);
//   - of what a writer repeats, that part is swallowed which the reader has
//     left behind (Writer: up to its head);
//   - output of a nondeterministic interval is held until the next snapshot
//     makes it stable (Writer.NDI, §2.4.4, §2.6.1);
//   - actions on the socket that are repeated are swallowed as writes are
//     (Actions, §2.5.3).
//
// Channel.Sync does that for a stream between processes (Figures 2.5 and 2.6),
// Cut for the connection, where the client takes no snapshots and TCP's own
// numbers stand in for them (Equations 2.1 and 2.2). Place turns TCP's numbers
// into offsets, State.Path says how a half-closed endpoint is brought about
// again, Service orders the processes.
//
// Everything is counted in offsets from the first byte of a stream, 64 bits
// wide: they survive any number of moves, and what is left to discard is the
// difference of two of them rather than a counter that a crash could leave
// wrong. Sequence numbers appear in Stream, Endpoint, Reply and Half only.
//
// The plan of the whole, lowest first:
//
//	mtcp            this arithmetic; knows no memory, no socket, no time
//	kmod/uapi       cbox.h: the one layout of a continuation box
//	mtcp/cbox       the box and the library over it: Create, Export, Import,
//	                Associate, Open; a net.Conn; channels; Capture and Plant
//	mtcp/cbox/c     the same layout for servers in C
//	mtcp/keeper     holds boxes and connections while processes die; hands them on
//	mtcp/tcprepair  dumps and restores the socket: fills an Endpoint, obeys a Move
//	mtcp/extract    reads a socket out of a dead kernel's memory: the same Endpoint
//	mtcp/landing    has a session begin at the new server: box, socket, process
//	mtcp/steer      brings the client's segments to the new server
//	mtcp/migrate    asks Cut, carries a Move and the box; Reply and Fixup on the wire
//	mtcp/salvage    the same from a dead kernel: Cut without a client (§3.6.5)
//
// The trap: a FIN takes a sequence number and is no byte. Offsets count bytes
// only; each place that crosses from numbers to offsets says what it does with
// FIN and SYN, and nothing else may.
//
//	conn, up, down, err := mtcp.Place(endpoint, read, written)
//	if err != nil {
//		return err
//	}
//	client, err := conn.Client(request.Next, down)
//	if err != nil {
//		return err // a forged or very late request
//	}
//	move, err := mtcp.Cut(snapshot, up, down, client, mtcp.Whole)
//	reply := conn.Reply(move) // lsr^C and implicit_ack, for the SYN+ACK
package mtcp
