// SPDX-License-Identifier: Apache-2.0

// Package guest gives a bench its target (§3.9.2): a VM of the lab with
// backdoor.ko, opened over the emulated intelligent NIC; or, where no machine
// is wanted, a synthetic target in two files that the same carrier maps.
//
// The trap: what a bench starts in a guest competes with what it measures
// there: programs are put in at boot, not copied in while something is timed.
// And a VM outlives a bench that forgets it: Close on every path.
//
//	g, err := guest.Boot(ctx, o, guest.Config{Name: "lockgrant"})
//	if err != nil {
//		return nil, err
//	}
//	defer g.Close()
//	box, err := g.Target.Region(uapi.KindSensorbox)
//	...
//	fig.Machine = g.Machine()
package guest
