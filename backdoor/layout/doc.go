// SPDX-License-Identifier: Apache-2.0

// Package layout compares the structure offsets of a target's manifest with
// the kernel's own type information (BTF): two compilers' outputs that must
// agree (§3.3; the manifest is by the module's compiler, BTF by the kernel's).
//
// It is a cross-check, for tests and for `bdctl manifest --check`; walks use
// the manifest alone, so that a target without BTF can be read.
//
// The trap: a structure's name may stand for several types in BTF; a member
// agrees if it does with any of them.
//
//	spec, err := btf.LoadSpec("vmlinux")
//	if err != nil {
//		return err
//	}
//	for _, m := range layout.Compare(spec, target.Manifest()) {
//		fmt.Println(m)
//	}
package layout
