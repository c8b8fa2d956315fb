// SPDX-License-Identifier: Apache-2.0

// Command boot measures how long the lab keeps one waiting (§3.9.2's machines):
// from QEMU's start to a guest whose init answers, with the uncompressed kernel
// (PVH) and with vmlinuz, on both kernels; and from `make drill` on a machine
// where it has run before to the moment when its first machine is begun, and up.
//
// The trap: a boot is all CPU, so a busy host shows in every figure; the load
// averages in the head of the file are part of the result. A boot that the lab
// began again (the emulator's fault) counts from its last QEMU.
//
//	go run ./bench/boot --runs 5
package main
