// SPDX-License-Identifier: Apache-2.0

// Package roce is an RDMA device in software and in pure Go: RoCEv2 over a UDP
// socket, wire-compatible with hardware and with the kernel's rdma_rxe, without
// privileges (§3.3; InfiniBand Architecture Specification, volume 1, chapters 9 to
// 12, and annexes A11 and A17). It is the default where a machine has no RDMA
// device. Reliable connections with all their operations, datagrams, shared
// receive queues, memory windows, and the RDMA connection manager.
//
// Whoever waits drives: PostSend builds and sends in its caller's thread, WaitCQ
// receives in its caller's; a thread of the device's own does it when nobody
// waits. So the way of a message has no hand-over between threads.
//
// The traps: a peer that knows a queue pair's number, packet sequence number
// and a key reads memory, and RoCE is clear text, so bind the device to an
// address that only trusted machines reach (docs/security.md); rdma_rxe holds UDP
// port 4791 of the first network namespace, so beside it a device needs
// frames of its own (netio.ListenL2); and a Handler is called with the device
// locked: it must not wait, nor call the device.
//
//	dev, err := roce.Open(roce.Config{Local: netip.MustParseAddr("10.77.0.1")})
//	mem, err := dev.Alloc(1 << 20)
//	pd, err := dev.AllocPD()
//	mr, err := dev.RegMR(pd, mem, 0, driver.AccessLocalWrite|driver.AccessRemoteRead)
//	cm, err := dev.CM()
//	conn, err := cm.Resolve(ctx, netip.Addr{}, netip.MustParseAddrPort("10.77.0.2:7174"))
//	reply, err := conn.Connect(ctx, qp, driver.ConnParam{InitiatorDepth: 16})
//	n, err := dev.PostSend(qp, []driver.SendWR{{Op: driver.OpRDMARead, ...}})
//	n, err = dev.WaitCQ(ctx, cq, completions)
package roce
