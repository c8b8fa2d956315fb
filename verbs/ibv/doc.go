// SPDX-License-Identifier: Apache-2.0

// Package ibv is the provider of real RDMA devices, hardware and SoftRoCE: every
// method of driver.Device over libibverbs and of driver.CM over librdmacm. It is
// the only package with cgo; without cgo, without the kernel's RDMA stack or
// without a device it answers driver.ErrNotSupported (§3.3, §3.9.1).
//
// Each method's doc ends with the C functions it calls, under "Implements:".
// No Go pointer is kept by C: work requests are built in C memory of the queue
// pair's own, and events bring back integers.
//
// The traps: a device file of a queue pair in use keeps its owner's memory
// pinned, so memory to register comes from Alloc and never from the Go heap;
// and SoftRoCE takes a work request into its queue before it looks at the state
// of the queue pair, so the state is looked at here.
//
//	dev, err := ibv.Provider{}.Open(ctx, "rxe0")
//	if errors.Is(err, driver.ErrNotSupported) {
//		return roce.Provider{}.Open(ctx, addr) // no RDMA device in this machine
//	}
//	pd, err := dev.AllocPD()
//	mem, err := dev.Alloc(1 << 20)
//	mr, err := dev.RegMR(pd, mem, 0, driver.AccessRemoteRead|driver.AccessZeroBased)
//	...
//	n, err := dev.PostSend(qp, wrs) // one crossing into C, however many
package ibv
