// SPDX-License-Identifier: Apache-2.0

// Package auctionload puts the auction of §3.6.7 on a bed of machines, two front ends
// and two middle tiers with a PostgreSQL behind them, and has its clients
// (examples/auction/load) ask from a machine of their own: a bench's own program,
// called with Arg.
//
// The trap: the paper's base servers are other programs than the recoverable ones.
// These are the same, with and without boxes, so what differs is what boxes cost.
//
//	func main() {
//		auctionload.Main() // does not return in a process that Run has started
//		program.Exit()
//	}
//
//	err := auctionload.On(ctx, auctionload.Site{Front: true}, func(s *auctionload.Bed) error {
//		out, err := s.Load(ctx, auctionload.Spec{Clients: 200, For: time.Minute, Mix: "bidding", Think: 1})
//		...
//	})
package auctionload
