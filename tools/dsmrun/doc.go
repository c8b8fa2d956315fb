// SPDX-License-Identifier: Apache-2.0

// Dsmrun runs a parallel program: so many processes, one a node, with shared memory
// that survives the loss of any one of them (§4.3, §4.4).
//
// It starts a dsmd for each node, which starts the program. A node that is lost is
// started again, and goes on from its last checkpoint while the others wait for
// what they need of it. Two that are lost at once end the run: no recovery has the
// logs of both (§4.3.3).
//
// Where the nodes are:
//
//	dsmrun -n 4 ./program                      all here
//	dsmrun -n 4 --host a --host b ./program    by ssh, in turn; --dir is on all hosts
//	srun -n 4 dsmrun --dir /shared ./program   where Slurm, or mpirun, has placed this
//	                                           one: without -n it keeps one node
//
// A host that ssh does not reach any more is left for the next one. In an indexed
// Job of Kubernetes the container runs dsmd itself, and the kubelet starts it again.
//
// All nodes read the standard input, from its beginning; a terminal is node 0's. All
// write to the output, with --label each line with its node before it. Exit 0 if the
// programs of all nodes have ended well.
//
// The trap: a recovery repeats what the program did since its last checkpoint, with
// its output. Whoever counts lines writes at the end, or with a number in each.
//
//	dsmrun -n 4 --every 10s ./barnes -bodies 16384
//	dsmrun -n 4 --every 10s --kill 2@5000 --label ./barnes -bodies 16384
package main
