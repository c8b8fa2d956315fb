// SPDX-License-Identifier: Apache-2.0

// Package inic is the carrier of the emulated intelligent NIC (§3.3, §3.9.1):
// a process that maps a guest's RAM file and its ivshmem register BAR, and so
// reads and writes the guest's memory with none of the guest's CPUs.
//
// An operation is a memory copy, so Post completes a batch before it returns;
// aligned operations of 4 and 8 bytes are single loads and stores, and the
// atomics are the processor's own LOCKed instructions.
//
// The trap: the files outlive the machine. After QEMU's death the old root,
// table and process list are still readable, so Options must say how to see
// that the machine lives. And every address comes from the target: all of them
// are clamped to the RAM file, and a page that is not there (SIGBUS) is an error.
//
// One writer per target (the holder of flock(LOCK_EX) on the BAR file); all
// others map the files read-only. Own and Disown pass the place on while both
// sides go on reading; the file <bar>.owner keeps its epochs rising.
//
//	m, err := inic.Open(inic.Options{RAMPath: ram, BARPath: bar, PID: qemu, Writable: true})
//	if errors.Is(err, backdoor.ErrReadOnly) {
//		return fmt.Errorf("another monitor heals this target: %w", err)
//	}
//	defer m.Close()
//	t, err := backdoor.Open(ctx, m)
package inic
