// SPDX-License-Identifier: Apache-2.0

// Package leak finds what a guest's kernel does not get back when something is
// done to it many times (DECISIONS 8): objects of each slab cache, and pages,
// also those that are in no list of the kernel's, as a module's regions are.
//
// The trap: a kernel holds more or less memory for many reasons. So nothing is
// concluded from one number. What leaks one object or one page each time grows
// by as many in each batch of times; everything else does not, if one looks often
// enough. Boot the machine with Append, and with one vCPU, or each keeps pages of
// its own.
//
//	vm := lab.New(t, lab.Config{Kernel: "6.1", VCPUs: 1, Append: leak.Append})
//	leak.Check(t, vm, lab.Count(40, 300), func(times int) {
//		for range times {
//			if err := errors.Join(vm.Insmod(t.Context(), ko), vm.Rmmod(t.Context(), "backdoor")); err != nil {
//				t.Fatal(err)
//			}
//		}
//	})
package leak
