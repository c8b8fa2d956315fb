// SPDX-License-Identifier: Apache-2.0

// Package vtime has the vector times of lazy release consistency (§4.3.2): how
// many intervals of each process another one has heard of. T[i] counts the
// intervals that process i has closed; a write notice, a diff and the version
// of a page name them by these numbers.
//
// The trap: these times are only partly ordered. !a.LessEq(b) does not mean
// b.LessEq(a), and what has to be applied in order is sorted by Sum, which
// respects the order where there is one and settles the rest arbitrarily.
//
//	t := vtime.New(3)
//	t[0]++                  // process 0 closes an interval
//	u := vtime.Time{0, 4, 0}
//	t.LessEq(u)             // false, and so is u.LessEq(t)
//	t.Join(u)               // an acquire: t is {1, 4, 0}
//	u.LessEq(t)             // true
package vtime
