// SPDX-License-Identifier: Apache-2.0

// Package wire is M-TCP byte by byte: the options that a session's client, its
// old and its new server exchange inside TCP, the segments that carry them, and
// the certificate that binds a request to one connection (§2.5.2, §2.5.3). It does
// no I/O.
//
//	Offer               S1 -> C, on its SYN+ACK: cooperating servers, certificate
//	MigrateAdvise       S1 -> C, on an ACK: move, to whom and why
//	MigrateRefuse       C -> S1, on an ACK: no; S2 -> C, on a RST: no, and why
//	MigrateRequest      C -> S2, on its SYN
//	MigrateReply        S2 -> C, on its SYN+ACK
//	RcvdWhileMigrating  C -> S2, on the ACK that ends the handshake
//	MigrateArrived      S2 -> C, on an ACK: the session lives here
//	MigrateWhere        C -> S1, on an ACK: S2 is silent; where is the session?
//
// All are options of kind 253 with experiment ID 0x4D54 "MT" (RFC 6994), and
// always the first option of a segment: programs in the kernel look there only.
// MigrateRequest and MigrateReply take 21 bytes, because the 19 that MSS, window
// scale, SACK and timestamps take may be needed beside them by firewalls that
// follow a connection's window (AppendSYN), and there are 40.
//
// The trap: a segment that carries one of these is for the agents, and its
// numbers are those of a handshake that TCP itself never sees; firewalls do, and
// drop what their window does not allow. So the SYN begins behind what the client
// has sent, acknowledgements say no more than the other side has shown, and
// MigrateArrived shows the rest (docs/protocol.md). What TCP is to
// see (the SYN+ACK with an Offer) must be right without the option too, for a
// client without an agent and a path that removes it.
//
//	syn := wire.Segment{Src: client, Dst: s2, Seq: nxt - 1, Flags: wire.SYN, Window: 65535}
//	syn.Options, err = wire.AppendSYN(nil, wire.MigrateRequest{Next: next, Server: wire.ServerID(s1), Cert: cert}, mss)
//	packet, err := syn.Append(nil) // IPv4 or IPv6, checksums and all
//
//	s, err := wire.ParseSegment(packet)
//	switch o := s.Migration().(type) {
//	case wire.MigrateReply:
//		...
//	}
package wire
