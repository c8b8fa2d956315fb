// SPDX-License-Identifier: Apache-2.0

// Lu measures LU on the DSM beside plain C threads and ArgoDSM (§4.7): see bench/beside.
// Unlike SOR's, its pages have many readers.
//
//	go run ./bench/lu
//	go run ./bench/lu --argo-shm "mpirun -n 2 PATH/lu"
package main
