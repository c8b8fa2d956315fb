// SPDX-License-Identifier: Apache-2.0

// Package verbs is RDMA for Go in libibverbs' own terms: devices, protection
// domains, registered memory, queue pairs, completions, the connection manager
// (§3.3, §3.9.1: what a Backdoor reads and writes with). It is to a provider
// (verbs/driver) what database/sql is to a database driver: it keeps lifetimes,
// states, batching and leak reports, once.
//
// What C lets you do wrong cannot be written here: a queue pair that has no
// peer (PreparedQP) has no PostSend, a parent is not closed before its children
// (*BusyError names them), a handle is not used after its end. Every call that
// is one of C ends its documentation with the prototype.
//
// The traps: memory that a work request names belongs to the device until its
// completion was polled; that memory lies outside the Go heap (AllocMR, mmap,
// C); MR.Bytes is unmapped by MR.Close; completions of unsignaled sends never
// come, yet their slots are free only after a later signaled one completed.
//
//	dev, err := verbs.Open(ctx, "roce://10.77.0.1?mtu=4096")
//	pd, err := dev.AllocPD()
//	ch, err := dev.CreateCompChannel()
//	cq, err := dev.CreateCQ(128, ch)
//	mr, err := pd.AllocMR(1<<20, verbs.AccessLocalWrite)
//	p, err := pd.PrepareQP(&verbs.QPInitAttr{SendCQ: cq, Cap: verbs.QPCap{MaxSendWR: 64, MaxSendSGE: 1}})
//	tell(p.Endpoint())                    // to the peer, which tells its own
//	qp, err := p.Connect(told(), nil)
//	_, err = qp.PostSend(verbs.SendWR{Op: verbs.OpRDMARead, Flags: verbs.SendSignaled,
//		SG: []verbs.SGE{mr.SGE(0, 4096)}, RemoteAddr: addr, RKey: rkey})
//	n, err := cq.Wait(ctx, wc[:])         // wc[0].Err() is a *verbs.WCError if it failed
package verbs
