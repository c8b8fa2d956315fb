// SPDX-License-Identifier: Apache-2.0

// Bdagent prepares a target to be watched and healed (§3.3, §3.4.1): it loads
// backdoor.ko with its parameters, gives the monitors' keys to it, registers
// words of the kernel that modules cannot name (foreign words, from
// /proc/kallsyms), sets what the notes on carriers ask for, and then keeps two
// sensors of user space: a heartbeat of its own and the memory stall of PSI.
//
// The trap: it runs on the machine that will be sick. So nothing that heals
// depends on it after its set-up: it serves no socket, and when it starves or
// dies its heartbeat stands still, which is just what the monitor wants to know.
//
// A key file has a line for each monitor slot: its number and 32 hex digits.
//
//	bdagent --module /lib/modules/backdoor.ko --allow-repair --keys /etc/lazystate/keys --limits NPROCS:400
package main
