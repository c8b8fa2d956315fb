// SPDX-License-Identifier: Apache-2.0

// Package drill says what the drills are (§3.9.5): which rogue programs are
// released on a target beside which decent ones, which policy is asked, who
// must be gone afterwards and who untouched, and what detected, healed and
// lost mean in numbers. It boots nothing and kills nothing; tools/bddrill does.
//
// The rogue programs (folder c) are C, for Go cannot fork cheaply, and are
// compiled into one static program for the guest.
//
// The trap: they are real. A fork bomb that escapes a virtual machine takes
// the machine under it along, so nothing here runs them, and bddrill refuses
// any place but the lab's guests.
//
//	path, err := drill.Build(ctx, "build/rogue")
//	if err != nil {
//		return err
//	}
//	d := drill.ByName("forkbomb")
//	for _, p := range d.Rogues {
//		fmt.Println(append([]string{path}, p.Args...), "as uid", p.UID)
//	}
package drill
