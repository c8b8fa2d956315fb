// SPDX-License-Identifier: Apache-2.0

// Bdctl shows what backdoors see, and acts through bdmon (§3.7.1).
//
// Reading commands ask bdmon, or with --url open the target themselves,
// read-only. Writing commands (lock, unlock, kill, hooks) go through bdmon,
// the target's one writer, which has each decision in its audit log first.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no (not locked, no such
// process, a verdict that is not ok).
//
// The trap: names of processes and sensors are the target's bytes; bdctl
// prints them escaped, in tables and in JSON.
//
//	bdctl targets
//	bdctl owners
//	bdctl ps --url inic:///dev/shm/vm1/ram
//	bdctl lock --for 5s t1 && bdctl ps t1 && bdctl unlock t1
//	bdctl kill t1 4711
//	bdctl hooks t1 swappiness 10
package main
