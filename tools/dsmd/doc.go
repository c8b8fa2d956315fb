// SPDX-License-Identifier: Apache-2.0

// Dsmd is one node of the DSM: it starts a program, gives it shared memory and
// serves it until it is over (§4.3, §4.4). Most often dsmrun starts it.
//
// Nodes find each other in --dir, the folder that also has the checkpoints, or in
// etcd (tools/dsmd/meet): each tells where it is, and reads where the others are. Who
// can read there has the run's key. Those on one machine speak over shared memory,
// others over TCP. Which node this is says --node, or a launcher (tools/dsmd/rank).
//
// A program that is killed takes dsmd with it, and dsmd its program. Exit 0: all
// programs have ended well. 1: the node was lost; start it again, here or where the
// folder can be reached too, and it goes on from its last checkpoint. 4: starting it
// again would not help, for the program has failed by itself, or two nodes were lost
// at once.
//
// The trap: two dsmd of the same node must not run at once. The later one takes over,
// the earlier is told and ends.
//
//	dsmd --node 0 -n 2 --dir /shared/run --every 10s -- ./program &
//	dsmd --node 1 -n 2 --dir /shared/run --every 10s -- ./program
package main
