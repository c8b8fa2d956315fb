// SPDX-License-Identifier: Apache-2.0

// Package client is how a Go program uses the DSM (§4.3.2): the same program
// runs as one process on every node, and slices of pointer-free elements are
// shared between them. What a node wrote another sees once it has a lock that
// the first released later, or both were at a barrier: the rules for goroutines
// that share memory, without atomics.
//
// # Memory
//
// Slice gives the same memory at all nodes that ask for the same slices in the
// same order, before the program's first operation. It needs no communication,
// so that a node that is restarted has its slices at once. Alloc is for what is
// not known at the start; its Ref can be stored in shared memory.
//
// # Steps
//
// A program that is to survive the loss of a node runs in steps, and names the
// private state that has to be there at their ends. A step ends with an
// operation: nothing but private state may be touched behind the last one. A
// node that is restarted runs the program anew, with the private state of its
// last checkpoint, and Run goes on with the step behind that. All that a step
// does is a function of private and shared state: no time, no randomness from
// outside, no goroutines that share memory. What it prints it may print twice.
//
// Main runs a program beside its node's daemon; Local runs all nodes within a
// process, for tests.
//
// The trap: before Run the shared memory of a node that was restarted is the
// past's. Initialise it in step 0.
//
//	err := client.Main(func(n *client.Node) error {
//		sums := client.Slice[int64](n, n.Nodes())
//		sums[n.ID()] = part(n.ID())
//		n.Barrier()
//		return report(sums)
//	})
package client
