// SPDX-License-Identifier: Apache-2.0

// Package mortal gives tests machines that die with the servers on them (§3.6.3,
// §3.6.7): network namespaces with a keeper and processes each. What the kernel of one
// had of its sessions becomes the memory of a machine that stands still, and another
// reads it from there.
//
// The trap: here only sessions stop at once, each between two operations, and processes
// a moment later. What a process does in between to something else, a database say, is
// what a machine had sent when it died: it may still happen.
//
//	m1, m2 := mortal.New(t, rig.Host("s1")), mortal.New(t, rig.Host("s2"))
//	for _, m := range []*mortal.Machine{m1, m2} {
//		m.Run(nil, "front", "--keeper", m.Socket, "--listen", "0.0.0.0:8000")
//	}
//	rescuer := m2.Rescuer()
//	dead := m1.Die(service)
//	report := rescuer.Salvage(dead, service)
package mortal
