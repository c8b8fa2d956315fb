// SPDX-License-Identifier: Apache-2.0

// Command dsmtop shows a run of the DSM as it goes: each node's operations, faults,
// logs and checkpoints, the links, and what every program waits for (§4.7 measures
// the same over a whole run).
//
//	dsmtop DIR                 the folder of the run, as dsmrun --dir has it
//	dsmtop --links DIR         and the link of each node to each other
//	dsmtop --once --json DIR   for programs
//
// The trap: a node that does not answer is shown as it was last. AGE is how long ago
// that was; a rate needs two reports.
//
//	dsmrun -n 4 --dir /shared/run -- ./barnes &
//	dsmtop /shared/run
package main
