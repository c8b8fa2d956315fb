// SPDX-License-Identifier: Apache-2.0

// Package tcprepair takes one TCP socket out of a kernel and puts it into
// another: the endpoint state, the buffers and the socket's options that a
// state reply carries (§2.5.3), by way of TCP_REPAIR on an unpatched kernel.
//
//	Stack    the TCP of this network namespace: what it can do, its defaults
//	Frozen   a live socket that nothing reaches any more; Dump, Thaw, Discard
//	Dump     the socket on paper: numbers, window, options, both queues
//	Restored a socket that nothing reaches yet; Live, Abandon
//	Asker    asks a peer what it has, where the old server cannot say
//
// A Dump speaks mtcp's language: its Endpoint goes into mtcp.Place, and Obey
// makes of it what an mtcp.Move wants at the new server. It has a form for the
// wire (AppendBinary, Parse), and salvage fills one from a dead kernel's memory.
//
// All states but TIME_WAIT are moved. TCP_REPAIR itself makes ESTABLISHED only;
// the rest is repeated once the socket lives, along mtcp's State.Path: a FIN of
// its own is shut down again, and the peer's FIN, which the peer would not send
// again, is put before our own stack by a raw socket, as from the peer.
//
// The traps. TCP_REPAIR does not stop reception: a filter that drops everything
// has to come first, and a segment that was past it already makes the dump
// begin again. One that comes later still does no harm if nothing that the socket
// says of it gets out (takeover's guard, steer's holds): the peer sends it again.
// It does not stop sending either: unless its window is taken away, a frozen
// socket goes on through its queue by timers, and the peer acknowledges what the
// dump says was never sent; and while its queue is read the same timers have the
// kernel count as sent what no segment has carried. The kernel of the old server
// answers with RST once the socket is gone and the address still there: keep it
// Frozen, which is deaf and silent, until the client has heard the new one. What
// was restored as sent and is lost is sent again by TCP's timer (200 ms): where it
// is known what the client has, cut there and call Resend. And congestion window,
// round trip times and ECN cannot be restored: they begin anew.
//
// Everything happens in the network namespace of the calling thread.
//
//	stack, err := tcprepair.Open()
//	frozen, err := stack.Freeze(fd)
//	dump, err := frozen.Dump() // or frozen.Thaw(): nothing has happened
//	wire := dump.AppendBinary(nil)
//
//	dump, err := tcprepair.Parse(wire, limit) // at the other server
//	dump.Elapse(time.Since(asked))
//	restored, err := stack.Restore(dump)
//	err = restored.Live() // once the peer's segments come here
//
//	err = frozen.Discard() // neither FIN nor RST
package tcprepair
