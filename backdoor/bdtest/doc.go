// SPDX-License-Identifier: Apache-2.0

// Package bdtest is a target without a machine: a synthetic kernel memory with
// regions, manifest, sensors, processes (pid IDR, task list, credentials, both
// forms of rss), page tables and the module's side of lock, hooks and fence
// (§3.3, §3.9.1), behind a backdoor.Memory that injects faults.
//
// The target's CPUs run whenever somebody looks: each batch is followed by a
// Step, so a lock is granted and a kill is done by the next read, without a
// goroutine. Hang stops them; memory then stays readable, as after a real hang.
//
// The trap: the image is only as hostile as the test makes it. Use Poke,
// Memory.During and Memory.OnIndex to corrupt it, change it under a reader and
// fail each operation in turn.
//
//	target := bdtest.New()
//	target.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb", Anon: 100})
//	t, err := backdoor.Open(ctx, target.Memory())
//	if err != nil {
//		return err
//	}
//	tasks, err := t.Tasks(ctx, backdoor.WalkOptions{})
package bdtest
