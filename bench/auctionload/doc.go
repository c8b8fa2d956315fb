// SPDX-License-Identifier: Apache-2.0

// Package auctionload puts the auction of §3.6.7 on a bed of machines, two front ends
// and two middle tiers with a PostgreSQL behind them, and has its clients
// (examples/auction/load) ask: from a machine and a process of their own (Load: a
// bench's own program, called with Arg), or from this one (Crowd), where what clients
// see is to be compared with what becomes of machines.
//
// The first machine of either tier may be a virtual one that is stopped in the midst
// (Victims, Crash): then its monitors have the second one go on, as bdmon would, and
// Recovery says what was when. After each run the database is compared with what clients
// were told.
//
// The traps: the paper's base servers are other programs than the recoverable ones.
// These are the same, with and without boxes, so what differs is what boxes cost. And
// a victim is emulated, but stands while it is recovered: times before the crash are
// the emulation's, those of the recovery the host's.
//
//	func main() {
//		auctionload.Main() // does not return in a process that Load has started
//		program.Exit()
//	}
//
//	err := auctionload.On(ctx, db, auctionload.Site{Front: true}, func(s *auctionload.Bed) error {
//		out, err := s.Load(ctx, auctionload.Spec{Clients: 200, For: time.Minute, Mix: "bidding", Think: 1})
//		...
//	})
//
//	v, err := auctionload.Boot(ctx, "6.12", auctionload.Tiers{Front: true}, nil)
//	err = auctionload.On(ctx, db, auctionload.Site{Front: true, Middle: true, Victims: v}, func(s *auctionload.Bed) error {
//		c := s.Crowd(ctx, auctionload.Spec{Clients: 200, Mix: "browsing", Think: 0.5})
//		...
//		r, err := s.Crash(ctx, 10*time.Millisecond)
//		...
//		waits, late := r.Waits(c.End(), true, s.Reissued())
//	})
package auctionload
