// SPDX-License-Identifier: Apache-2.0

// Package rping is the protocol of librdmacm's rping: the client tells where its
// text lies, the server READs it; the client tells where it wants it, the server
// WRITEs it there; and all of it again (rdma-core, librdmacm/examples/rping.c;
// §3.9.1's first connection).
//
// The trap: what a client tells are addresses of its memory, and a server READs
// and WRITEs there: it is the client that must have registered little.
//
//	rounds, err := rping.Serve(ctx, dev, listener, 4096)
//	err = rping.Ping(ctx, dev, netip.MustParseAddrPort("10.77.0.2:7174"), 5, 100, report)
package rping
