// SPDX-License-Identifier: Apache-2.0

// Recovery measures what the loss of a node costs (§4.4; the paper has no figure, for
// its prototype could not recover, §4.7 footnote 2): SOR runs on some nodes, one of which
// is killed with its program at an operation drawn by lot. Beside it, what there is
// instead: to begin anew, and coordinated checkpoints of the whole job, which is here the
// same program by plain C threads, dumped and restored by CRIU, where that is installed.
//
// The samples, in seconds:
//
//	recovery          from the kill until the node is live again, its past replayed
//	lost work         from its last checkpoint to the kill: what was replayed
//	cost              what the run took longer than one without failure
//	begin anew        from the program's start to the kill: what that would have cost
//	CRIU, checkpoint  the whole job stands
//	CRIU, restart     until it runs again; all of it then does again what was lost
//
// The trap: a recovery includes a daemon and a program that are started; where the lost
// work is less than that, nothing can be won.
//
//	go run ./bench/recovery --runs 10
package main
