// SPDX-License-Identifier: Apache-2.0

// Package peer is how monitors watch each other (§3.5.1) where there is no
// etcd: each tells every other what it sees and owns, over TLS between keys
// that are named beforehand. A connection carries reports one way, from who
// dialled it, so two monitors have two, and either suffices to be heard.
//
// Reports are whole and repeated (fleet.Report): what is lost or late costs a
// beat. What a peer may say is bounded in length, in rate by its reader, and
// to its own name; whoever has no key that is named here says nothing at all.
//
// The trap: a connection that is there proves only that its peer was there. A
// peer lives by its reports, which package fleet counts; nothing here does.
//
//	id, err := identity.Load("/etc/lazystate/identity.pem")
//	if err != nil {
//		return err
//	}
//	m := &peer.Mesh{Identity: id, Self: "m1", Listen: ":9465", Peers: peers, Beat: time.Second, Heard: heard, Log: log}
//	if err := m.Start(); err != nil {
//		return err
//	}
//	defer m.Close()
//	m.Tell(report)
package peer
