// SPDX-License-Identifier: Apache-2.0

// Package meet is how the nodes of a run find each other (§4.3.2): in a folder that
// all can reach, most often the one that has the checkpoints too, or in etcd. Each
// node tells where it listens, again after a restart, which may be elsewhere; and
// whoever comes first draws the key that all must prove to have.
//
// The trap: what is written here is where a node was. It may be dead by now, and a
// new one not have come; whoever connects asks again each time.
//
//	m := meet.Folder(filepath.Join(dir, "meet"))
//	key, err := m.Key(ctx)
//	if err != nil {
//		return err
//	}
//	here := meet.Place{TCP: meet.Reached(listener, "")}
//	err = m.Tell(ctx, self, here)
//	address := meet.Address(m, here) // of transport.Config
package meet
