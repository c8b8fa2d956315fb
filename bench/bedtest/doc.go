// SPDX-License-Identifier: Apache-2.0

// Package bedtest runs the benches of chapter 2 (§2.7) at tiny sizes, on the
// real daemons, for their tests.
//
// The trap: it says that a bench works, nothing about what it measures.
//
//	func TestRuns(t *testing.T) {
//		fig := bedtest.Measured(t, &program, "--runs=2")
//		bedtest.Positive(t, fig, 8)
//	}
package bedtest
