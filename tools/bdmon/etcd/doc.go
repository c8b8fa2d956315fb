// SPDX-License-Identifier: Apache-2.0

// Package etcd is where a large fleet of monitors meets (§3.8): each keeps a
// lease there, tells all others what it sees under a key that ends with the
// lease, and claims targets by transactions on revisions.
//
//	<prefix>monitors/<name>   its report (fleet.Report), with its lease
//	<prefix>owners/<target>   {"monitor":..., "epoch":...}, with its lease
//	<prefix>epochs/<target>   the last epoch, for good
//
// An epoch rises by compare-and-swap on the revision of its key, above what the
// target's own place has seen: so it goes on rising when etcd was made anew.
//
// The trap: a lease is known to be there only as long as somebody heard of it.
// Proof is counted from when a renewal was sent, and while etcd does not answer
// it runs out: the monitor stops owning, whether or not etcd still has its keys.
//
//	s, err := etcd.New(etcd.Options{Connect: connect, Prefix: "/lazystate/", Self: "m1", TTL: 4 * time.Second, Clock: clock, Heard: heard, Gone: gone, Log: log})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	s.Tell(report)
//	epoch, until, err := s.Number(ctx, "t1", 41)
package etcd
