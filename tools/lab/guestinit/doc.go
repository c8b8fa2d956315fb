// SPDX-License-Identifier: Apache-2.0

// Guestinit is process 1 of every guest of the lab: a static program that
// configures the guest, then serves requests of package wire over a
// virtio-serial port. It keeps answering while the guest is useless to
// everybody else, because it stands outside what the drills exhaust:
//
//   - CPU: all its threads are SCHED_FIFO, and one at a time runs Go;
//   - memory: it is locked, its heap is touched in advance and never given back;
//   - the process table: its threads exist in advance and most requests need no fork;
//   - the OOM killer: process 1 is never chosen, and oom_score_adj is -1000 besides.
//
// The trap: all of this is inherited by a child, and a fork bomb with
// oom_score_adj -1000 and a real-time class is another experiment. So no child
// runs a foreign program directly: init starts itself as "init spawn", which
// undoes each of these, sets limits and uid, and only then executes the program.
//
// The kernel starts it; there is nothing to call. From the host:
//
//	vm, err := lab.Up(ctx, "target", lab.Config{Kernel: "6.1"})
//	if err != nil {
//		return err
//	}
//	defer vm.Down()
//	res, err := vm.Run(ctx, "cat", "/proc/loadavg")
package main
