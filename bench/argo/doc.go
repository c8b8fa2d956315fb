// SPDX-License-Identifier: Apache-2.0

// Package argo has a bench of the DSM (§4.7) run its peer in turn with ours: a program on
// ArgoDSM, which is built by hand and no part of this project. The programs themselves are
// in cpp, each with the line that compiles it against an ArgoDSM that is installed; a
// bench is given the command that runs one:
//
//	go run ./bench/dsmmicro --argo-shm "mpirun -n 2 PATH/micro" \
//		--argo-tcp "mpirun -n 2 --mca pml ucx --mca osc ucx --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any -x UCX_TLS=tcp,self -x UCX_NET_DEVICES=lo PATH/micro"
//	go run ./bench/sor --argo-shm "mpirun -n 2 PATH/sor"
//	go run ./bench/lu --argo-shm "mpirun -n 2 PATH/lu"
//
// Over shared memory that is Open MPI's own way (vader, which reads the other process's
// memory). Over TCP it is UCX: Open MPI 4's btl/tcp cannot put and get, and its osc/pt2pt
// refuses the threads that ArgoDSM asks for. As root mpirun wants --allow-run-as-root.
//
// The trap: MPI waits by asking again and again. With more processes than processors, or
// beside other load, its figures are the scheduler's.
//
//	peers := argo.NewPeers()
//	peers.Flags(fs)
//	...
//	for _, p := range peers.There() {
//		said, err := p.Run(ctx, argo.Task{Nodes: 2, Figures: []string{"barrier"}})
//		...
//	}
//	peers.Note(fig)
package argo
