// SPDX-License-Identifier: Apache-2.0

// Dsmdemo shows shared memory that survives a node (§4): Barnes-Hut on several
// processes, once as it is, and once with one process and its daemon killed in the
// midst. That node is started again, goes on from its last checkpoint, does again
// what it had done since, and the result is the same to the bit.
//
// The trap: what the victim had done since its last checkpoint is done twice, and on
// one machine all nodes share its processors: the second run takes longer by more
// than the recovery.
//
//	make demo-dsm
//	dsmdemo --nodes 8 --bodies 16384 --steps 30 --victim 3
package main
