// SPDX-License-Identifier: Apache-2.0

// Package load is the clients of an auction (§3.9.4), like RUBiS's client emulator:
// browsers that think as TPC-W says, ask for one thing after another by a mix of
// requests, and check each reply against what they asked. Afterwards Check compares
// what they were told with the database: nothing is missing, nothing is there twice,
// and nothing is there that nobody was told of.
//
// Each update says something of its own, a nickname, an amount or a text, so that a
// row can be told by its content: nothing relies on how the auction names requests.
//
// The trap: a client that gives up at an error and connects anew would hide what a
// failover did to its session. Here every error is counted, and a request is never
// sent again.
//
//	l := &load.Load{Dial: dial, Clients: 200, For: time.Minute, Mix: load.Bidding, Think: 1, Size: load.Size{...}}
//	run, err := l.Run(ctx)
//	verdict, err := load.Check(ctx, dsn, run)
package load
