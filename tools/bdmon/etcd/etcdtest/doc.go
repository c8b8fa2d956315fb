// SPDX-License-Identifier: Apache-2.0

// Package etcdtest runs real etcd servers for the tests of fleets (§3.8): as
// processes of this machine, on loopback, each with a data directory of its own.
//
// The trap: a port that was free when the servers' addresses were chosen may be
// somebody else's when they start. Ready says so, with the server's own words.
//
//	c := etcdtest.New(t, 3, "http")
//	admin := c.Ready()
//	leader, _ := c.Leader(admin)
//	leader.Kill()
//	...
//	leader.Start(t)
package etcdtest
