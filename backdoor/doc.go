// SPDX-License-Identifier: Apache-2.0

// Package backdoor reads and repairs a target's memory without its CPU (§3.3).
//
// Memory is the carrier: batches of one-sided reads and writes, named by
// address and key as RDMA names them. Target is one machine behind it: its
// regions, its manifest, its identity. On it stand the walks over kernel
// structures, the remote OS lock (§3.9.1) and the repair hooks (§3.7.1).
//
// The trap: everything read belongs to a machine that may be dying. Copy once,
// validate the copy, bound every walk, and check the boot id before believing
// that it is still the machine it was.
//
//	t, err := backdoor.Open(ctx, memory)
//	if err != nil {
//		return err
//	}
//	held, err := t.Lock(ctx, backdoor.LockOptions{Slot: 0, Key: key})
//	if err != nil {
//		return err
//	}
//	defer held.Unlock(ctx)
//	list, err := t.Tasks(ctx, backdoor.WalkOptions{})
package backdoor
