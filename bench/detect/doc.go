// SPDX-License-Identifier: Apache-2.0

// Command detect measures how long after its deadline a hang is announced, by each
// carrier (§3.4, §3.4.2): QEMU stops all vCPUs of a target for a while, again and
// again, which takes no CPU of the host from the monitor. Over mapped memory the deadline is 10 ms and the aim that the
// median is announced within a millisecond after it; over RDMA the deadline is the
// target's own, and the bound is what the sampling plan allows.
//
// With --soak it counts instead what the same monitors say of a healthy target under
// mixed load: an hour, not one false positive, at the deadlines that the plan computes.
//
// The trap: when a clock of the target stood still can only be seen from outside. A
// look-out of its own reads the mapped value some thousand times a second, and what is
// measured counts from the last change that it saw; on a host whose CPUs are taken by
// others a vCPU that waits is no different from one that hangs.
//
//	go run ./bench/detect --runs 21
//	go run ./bench/detect --soak 1h
package main
