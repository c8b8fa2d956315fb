// SPDX-License-Identifier: Apache-2.0

// Package lab boots virtual machines with Debian's kernels for tests, drills
// and benches: a guest whose memory and register BAR are shared files, a
// command channel that answers when the guest is useless to everybody else,
// and QEMU's own view of the machine as ground truth (issue of the drill,
// DECISIONS 3 to 6; the machines of §3.9.2).
//
// The traps: a RAM file outlives its QEMU and still looks like a running
// machine, so it is made anew for each boot and liveness is a lock that the
// kernel drops with its holder; and a VM belongs to the process that booted
// it, which must not end a thread QEMU was started from. Under emulation on a
// busy host a boot in a hundred fails without fault of the kernel that boots:
// QEMU aborts, or a lost timer interrupt leaves the guest's clock standing. Up
// begins such a boot again, twice at most, and says so. A host of two cores bears
// three machines: tests say how many they have at the same time (Main), and
// packages wait for one another.
//
//	func TestTarget(t *testing.T) {
//		lab.Need(t)
//		vm := lab.Shared(t, lab.Config{Kernel: "6.12", SwapMiB: 256})
//		if err := vm.Insmod(t.Context(), "backdoor.ko", "allow_repair=1"); err != nil {
//			t.Fatal(err)
//		}
//		res, err := vm.Run(t.Context(), "uname", "-r")
//		...
//		b, err := vm.PMemSave(t.Context(), 0x100000, 4096) // not through our own reader
//	}
package lab
