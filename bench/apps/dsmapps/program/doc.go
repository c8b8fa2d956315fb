// SPDX-License-Identifier: Apache-2.0

// Package program is what the DSM's applications have in common: sizes by flags,
// a parallel run, a sequential one that knows nothing of it, and digests of
// both that agree to the bit. A sum of floats depends on its order, so whatever
// processes add to together is a Fixed.
//
// The trap: a digest covers bytes as they lie in memory. Hash takes no structs,
// whose padding is anything.
//
//	var a program.Program = &sor.SOR{}
//	a.Flags(fs)
//	err := client.Local(program.Local(a, 4), func(n *client.Node) error {
//		digest, err := a.Parallel(n, func(step, of int) {})
//		if n.ID() == 0 && digest != a.Sequential() {
//			...
//		}
//		return err
//	})
package program
