// SPDX-License-Identifier: Apache-2.0

// Sor measures how near SOR on the DSM comes to plain C threads that share the memory
// of one machine (§4.7): with two processes, without logs and with them; and beside
// ArgoDSM, where bench/argo's command is given. All compute the same, to the bit.
//
// The trap: as many nodes as processors leave none for the daemons; what they do is in
// the programs' time.
//
//	go run ./bench/sor
//	go run ./bench/sor --nodes 4 --size 2048
//	go run ./bench/sor --argo-shm "mpirun -n 2 PATH/sor"
package main
