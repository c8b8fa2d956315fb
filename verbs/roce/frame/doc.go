// SPDX-License-Identifier: Apache-2.0

// Package frame is the little of Ethernet, IPv4, IPv6, UDP, ARP and neighbor
// discovery that a RoCEv2 endpoint with an address of its own needs when it
// sits on a TAP or a packet socket, where no kernel does it (§3.3, the
// intelligent NIC). It does no I/O and allocates nothing per packet.
//
// The traps: the UDP checksum is neither checked nor written (zero, as rxe
// has it), because the ICRC of package wire covers the same bytes better, so
// nothing but RoCEv2 may be read with this package; a short frame is padded to
// 60 bytes, so lengths come from the IP header; and an answer to a question
// about an address goes to the asker's MAC address as the *frame* had it.
//
//	var d frame.Datagram
//	switch err := d.Parse(f); {
//	case err == nil && host.Has(d.Dst.Addr()):
//		flow, _ := wire.NewFlow(d.Src, d.Dst)
//		ok := flow.Check(d.Payload, d.ID, d.Flags) // exact: the ID is known here
//	case errors.Is(err, frame.ErrOther):
//		n := host.Answer(buf, f) // 0: nobody asked for us
//	}
package frame
