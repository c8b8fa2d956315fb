// SPDX-License-Identifier: Apache-2.0

// Bddrill makes a virtual machine sick and heals it from outside (§3.9.5): it
// boots a target in the lab, starts a small useful program that reports its
// time for each iteration, releases a fork bomb or a pool of memory hogs, and
// lets the monitor and the healers of package repair detect, diagnose and
// repair. Then a table: detected, diagnosed, killed, healed, the useful program
// before, during and after, and whether anybody else was harmed.
//
// Each drill also runs once without repair, to show that the machine is lost.
//
// The words are those of docs/operations.md. Detected is measured from the
// crossing of L as it was seen by samples of the Sensor Box a few milliseconds
// apart, apart from the detector; healed needs the useful program as fast as
// before for half a minute; lost means that no iteration ends, or that root
// cannot fork, for a minute.
//
// The trap: the rogue programs are real. Bddrill runs them in machines that it
// booted itself, and nowhere else.
//
//	bddrill --demo                   # what make drill shows
//	bddrill --kernel 6.12 forkbomb   # both fork bombs on another kernel
//	bddrill hang                     # exit 3: cannot be repaired in place
package main
