// SPDX-License-Identifier: Apache-2.0

// Package bedtest has tests of servers on a testbed (§2.7.2): a client that nobody here
// wrote, on a machine of its own, speaks to a server on two machines, and its session
// goes from one to the other and back while it does, by each of the three ways.
//
// The servers are the test's own binary (keepertest.Main), or programs elsewhere.
//
// The trap: a session is over at its server when the last byte lies in the kernels, so
// what a client has not read must be more than fits there for another Hop.
//
//	func TestMain(m *testing.M) { keepertest.Main(m, run, testbed.Done) }
//
//	func TestDownloadBetweenMachines(t *testing.T) {
//		bedtest.Each(t, "web", func(t *testing.T, b *bedtest.Bed) {
//			b.Serve(testbed.Self, "--keeper", "KEEPER", "--listen", "0.0.0.0:PORT")
//			c := b.Client("curl", "-sS", "http://"+b.Addr()+"/big")
//			got := c.Read(1 << 20)
//			b.Hop()
//			got = append(got, c.Rest()...)
//			...
//		})
//	}
package bedtest
