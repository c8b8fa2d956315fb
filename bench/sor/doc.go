// SPDX-License-Identifier: Apache-2.0

// Sor measures SOR on the DSM beside plain C threads and ArgoDSM (§4.7): see
// bench/beside.
//
//	go run ./bench/sor
//	go run ./bench/sor --nodes 4 --size 2048
//	go run ./bench/sor --argo-shm "mpirun -n 2 PATH/sor"
package main
