// SPDX-License-Identifier: Apache-2.0

// Package takeover moves a service's address from one host to another on the
// same network: the IP takeover of §3.6.5, by gratuitous ARP or an unsolicited
// neighbour advertisement, for live sessions and for those of a dead machine.
//
// An address that is on a host whose sockets are not makes that host's kernel
// answer the client's next segment with a RST, and that ends the session. So
// both hosts hold a guard, a filter (nftables) that lets no TCP of the address
// in or out: the old one from before its sockets freeze until the address is
// gone, the new one from before the address comes until the sockets live.
//
//	old host                          new host
//	Leave: guard
//	freeze, dump, send            ->  Arrive: guard, then the address
//	Release                       <-  restore
//	                              ->  Open: guard off, announce; sockets go live
//	Done: guard off; discard
//
// Where the old host is dead, the peers can be asked between Announce and Open
// what they have (Asker). Either side can Undo until the sockets live. The guard
// belongs to the process that set it up and goes with it, so a daemon that dies
// leaves no address behind that nothing answers for.
//
// The traps. A gratuitous ARP reply is ignored for a second after the last change
// (neigh locktime); a request is not. Removing an address may take others of its
// subnet along (promote_secondaries), which is refused, and it takes routes that
// prefer it as their source along, which nobody brings back. And one announcement
// may get lost: announce again a little later (Repeat).
//
//	link, err := takeover.Open("eth0")
//	leaving, err := link.Leave(addr) // sessions are frozen and sent now
//	if err := leaving.Release(); err != nil {
//		leaving.Undo()
//	}
//	leaving.Done()
//
//	arriving, err := link.Arrive(netip.PrefixFrom(addr, 24)) // elsewhere
//	err = arriving.Open() // sessions are restored
package takeover
