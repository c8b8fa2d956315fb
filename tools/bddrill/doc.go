// SPDX-License-Identifier: Apache-2.0

// Bddrill makes a virtual machine sick and heals it from outside (§3.9.5): it
// boots a target in the lab, starts a small useful program that reports its
// time for each iteration, releases a fork bomb or a pool of memory hogs, and
// lets the monitor and the healers of package repair detect, diagnose and
// repair. Then a table: detected, diagnosed, killed, healed, the useful program
// before, during and after, and whether anybody else was harmed.
//
// The monitor is bdmon, a process of its own beside bddrill with a
// configuration, log and control socket under --state: bddrill reads what it
// announces from the socket and what it did from its audit log. The drill's
// own eyes, a read-only mapping, tell only when L was truly crossed and
// whether the sensors are below it at the end.
//
// Each drill of make drill also runs once without repair, to show that the
// machine is lost. A negative control is left alone with the same monitor, and
// nothing may be killed.
//
// The words are those of docs/operations.md. Healed needs the median iteration
// of the useful program, over half a minute, to be within 10 % of before
// (--well, --after); lost means that for a minute no iteration ends, or that
// both a login at the console and a fork by root fail.
//
// The trap: the rogue programs are real. Bddrill runs them in machines that it
// booted itself, and nowhere else.
//
//	bddrill --demo                   # what make drill shows
//	bddrill --kernel 6.12 forkbomb   # both fork bombs on another kernel
//	bddrill hang                     # exit 3: cannot be repaired in place
//	bddrill --all --seed 7 --record soak.json
package main
