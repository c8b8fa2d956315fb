// SPDX-License-Identifier: Apache-2.0

// Package kmodtest tests backdoor.ko and bd_inject.ko on both kernels of the
// lab (§3.3, §3.4, §3.9.2). It has tests only. It does not lie in kmod/ itself
// because Go refuses a folder with C files it is not to compile.
//
// The trap: our own reader must not be the only witness. What a test says of
// the Sensor Box is compared with the guest's /proc, or with QEMU's copy of
// its memory.
//
//	k := load(t, "6.12", "limits=NPROCS:50")
//	v := k.fetch(t)
//	if s := v.named(t, "NPROCS"); s.Limit != 50 {
//		t.Errorf("L of NPROCS is %d", s.Limit)
//	}
package kmodtest
