// SPDX-License-Identifier: Apache-2.0

// Dsmmicro measures what a program of the DSM waits for, on two nodes (§4.7): a page
// that is not here, the first write to one, a barrier, locks. Over shared memory and
// over TCP, with writes that the kernel notes and with writes that are faults; in turn
// with ArgoDSM over the same transports, where bench/argo's command is given. Notes of the
// figure say which bounds are met. It is its own program: under dsmrun it is what is
// measured. Each node is bound to a processor.
//
// The trap: on as many processors as nodes, each with a daemon and a program, a figure
// is mostly the scheduler's. The least of many says more than the mean.
//
//	go run ./bench/dsmmicro --runs 5 --argo-shm "mpirun -n 2 PATH/micro"
package main
