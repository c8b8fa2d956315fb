// SPDX-License-Identifier: Apache-2.0

// Package testbed is what chapter 2 is measured and shown on (§2.7.1): clients and
// servers, each a network namespace, with the real daemons: an scd at each
// server, an mtcpd at a client or at a router between them, and whatever server
// program is started. Sessions move as operators move them, through the daemons'
// sockets. Benches and tools/mtcpdemo use it.
//
// The trap: all machines are this one, and share its processors. Where the paper's
// network was the bound, Config.Client limits a client's link to so many bits a
// second; without that a figure is of processors, not of a network.
//
//	err := testbed.Run(ctx, testbed.Config{Service: "ttcp", Clients: []testbed.Link{{Agent: true}}}, func(b *testbed.Bed) error {
//		if err := b.Serve(ctx, "ttcp", "serve", "--lazy"); err != nil {
//			return err
//		}
//		c := b.Clients[0]
//		conn, err := c.Dial(ctx, b.S1.Addr)
//		...
//		return c.Move(ctx, testbed.Flow(conn), b.S2.Addr)
//	})
package testbed
