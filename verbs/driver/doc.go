// SPDX-License-Identifier: Apache-2.0

// Package driver is what an RDMA provider implements, as database/sql/driver is
// for databases: integer handles, plain structs, many work requests in one
// call. States, lifetimes, close order and leak reports are kept once, in
// package verbs, and not here (DECISION 23).
//
// Providers: verbs/ibv (libibverbs and librdmacm), verbs/roce (RoCEv2 over UDP),
// verbs/shm (two processes of one host), verbs/mem (two ends in one process).
//
// The traps: a handle is valid for its device only, and package verbs calls
// nothing on a handle that it has destroyed; a work request and its scatter
// list may be reused as soon as the post returns, but the memory that it names
// belongs to the device until its completion has been polled; and after the
// first bad work request of a list a post stops, having taken those before it.
//
//	n, err := dev.PostSend(qp, wrs)      // wrs[:n] are posted
//	...
//	n, err = dev.PollCQ(cq, completions) // n may be 0: nothing has ended yet
package driver
