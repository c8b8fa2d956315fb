// SPDX-License-Identifier: Apache-2.0

// Package soaktest records what make soak has found: tests that do thousands of times
// what make test does a few (moves of §2.5.2, deaths of §3.9.2) say how often and what
// came of it, in a file of bench/results.
//
// The trap: a test's working directory is its package's, and what it is to record is
// what has happened until its end. So it asks for its book first, before all that it
// cleans up. What Runs does not count has not run: a soak that had fewer than it was
// told is not recorded.
//
//	book := soaktest.New(t, "../../bench/results/soak-moves.json", lab.Seed(), runs)
//	for range runs {
//		move(t)
//		book.Add("moves", 1)
//		book.Runs++
//	}
package soaktest
