// SPDX-License-Identifier: Apache-2.0

// Package link is the cable between two bridges of a lab's network: a relay of
// Ethernet frames that can lose, repeat, delay and reorder them, hold them to a
// rate, and be cut (the link failures of §3.4.2, DECISION 5). It is what stands
// between a machine and its monitors when their network is to be bad.
//
// The trap: faults are drawn from a seed, never by counting, for a protocol
// that goes back N live-locks when every n-th frame is lost. And the host
// answers ARP for each of its addresses on each of its interfaces: it would
// speak past the cable, so the far bridge, where it has no address, takes none.
//
//	l, err := link.Open(link.Options{Net: net, Near: "br1", Far: "br0", Seed: 7})
//	if err != nil {
//		return err
//	}
//	defer l.Close()
//	err = lab.HostAddr(net, "br1", "10.77.0.254/24")
//	l.Set(link.Faults{Loss: 0.2})
//	...
//	l.Set(link.Faults{Cut: true})
package link
