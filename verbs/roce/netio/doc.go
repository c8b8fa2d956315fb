// SPDX-License-Identifier: Apache-2.0

// Package netio carries the UDP payloads of RoCEv2: over a plain UDP socket, by
// Ethernet frames of its own on a TAP or packet socket (beside rdma_rxe, which
// takes port 4791 for itself), or in memory; and with seeded loss, duplication,
// reordering and delay in front of any of them (§3.3; InfiniBand Architecture
// Specification, annex A17).
//
// The trap: the ICRC covers the IPv4 identification, so a port must not let the
// kernel choose one. A UDP socket here is never connected and never clears DF:
// the ID is 0, and i in packet i of a train (UDP_SEGMENT). Any other Port that
// sends IPv4 must do the same.
//
//	port, err := netio.ListenUDP(netip.MustParseAddrPort("127.0.0.1:4791"), netio.UDPOptions{})
//	got := make([]netio.Datagram, 16)
//	for {
//		n, err := port.Recv(got) // never waits; poll(2) port.FD() first
//		for _, d := range got[:n] {
//			for pkt := range d.Packets() {
//				...
//			}
//		}
//	}
package netio
