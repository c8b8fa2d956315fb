// SPDX-License-Identifier: Apache-2.0

// Command dsmlog shows and verifies the DSM's checkpoints and the logs in them
// (§4.4, §4.5): a node's folder, or the folder of a run with one for each node.
//
//	dsmlog list DIR...                  the window of each node: T_ckp, V_H, sizes
//	dsmlog dump [--checkpoint N] DIR    what a checkpoint has: pages, logs, locks
//	dsmlog verify DIR...                reads everything; exit 3 if something is damaged
//
// The trap: it takes no lock. A daemon that has the folder may discard what is being
// read; list and verify say so ("in use"), and a checkpoint that is missing then is
// none that is damaged.
//
//	dsmlog verify /var/lib/lazystate/dsm/job7 && echo restartable
package main
