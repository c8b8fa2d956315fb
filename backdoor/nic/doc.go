// SPDX-License-Identifier: Apache-2.0

// Package nic is the intelligent NIC of §3.3 on the wire: it answers RDMA in a
// target's place, straight from the target's memory, whatever the target's CPUs
// do, and it is where the guard of §3.8 sits. tools/bdnic runs it beside a
// virtual machine.
//
// Each connection gets a protection domain and keys of its own, and reads a root
// and a region table that were made for it: what its monitor may not touch is not
// in them. A change of the target's regions makes the old keys invalid at once.
// Ownership (bd_owner_req) is the guard's own, so that it works while the target
// hangs.
//
// The trap: the server is the only user of the Memory that it is given, for it
// binds it to the target's regions and follows the target through reboots.
//
//	s, err := nic.New(nic.Options{Memory: mapped, Policy: policy, Fronts: []nic.Front{{dev, addr}}})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	return s.Run(ctx) // until ctx ends
package nic
