// SPDX-License-Identifier: Apache-2.0

// Bdcanary is a guest's program for `bddrill hang`: it goes through the
// kernel's rtnl lock again and again and counts its steps in a progress sensor
// (§3.4.1). In a deadlock every clock goes on; only who waits can tell.
//
// The trap: nobody but the drill may believe it. A stalled sensor of a program
// raises a suspicion, never the declaration of a failure (§3.9.3).
//
//	bdcanary &   # in a guest that has backdoor.ko; the sensor is CANARY, L is 1 s
package main
