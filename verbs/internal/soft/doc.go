// SPDX-License-Identifier: Apache-2.0

// Package soft is what the providers without any device beneath them
// (verbs/mem, verbs/shm) have in common: protection domains, keys and their
// checks, completion queues and channels, receive queues, and the states of a
// queue pair. How bytes travel is the provider's.
//
// The traps: locks are taken in the order queue pair, receive queue,
// completion queue; and a check must be done again each time an operation is
// executed, since keys end at any moment.
//
//	dev := soft.New(attr, carrier)         // carrier: what Post, Modify and Destroy do
//	ok := dev.Scatter(qp.PD, sg, 0, data)  // into the memory behind local keys
//	ok = dev.Remote(qp, rkey, addr, n, driver.AccessRemoteRead, func(b []byte) { ... })
//	qp.EndSend(wqe, driver.WCSuccess, n)   // completes in order
//	wqe, ok := qp.TakeRecv()
package soft
