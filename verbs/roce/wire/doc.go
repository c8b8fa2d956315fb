// SPDX-License-Identifier: Apache-2.0

// Package wire is RoCEv2 byte by byte: the transport headers, the invariant CRC
// and the connection manager's datagrams, as they lie in the payload of a UDP
// datagram to port 4791 (InfiniBand Architecture Specification, volume 1,
// chapters 9, 12 and 13 and annexes A11 and A17; §3.3, §3.9.1). It does no I/O and
// allocates nothing per packet.
//
// The trap: the ICRC covers the IPv4 header's identification, which a UDP
// socket does not show. Flow.CheckUnknownID therefore finds the only ID that
// would make the ICRC right; 16 of the 32 bits of strength are left. IPv6 and
// packets that were received with their IP header are checked exactly.
//
//	flow, err := wire.NewFlow(local, remote) // one direction
//	p := wire.Packet{BTH: wire.BTH{Opcode: wire.OpReadRequest, PKey: wire.DefaultPKey, DestQP: 17, PSN: 1}}
//	p.RETH = wire.RETH{VA: 0x7f0000000000, RKey: 0x11223344, Len: 64}
//	n := p.Put(buf) // room for the ICRC is included
//	flow.Seal(buf[:n], 0)
//
//	err = p.Parse(datagram) // p.Payload is a part of datagram
//	id, ok := back.CheckUnknownID(datagram)
package wire
