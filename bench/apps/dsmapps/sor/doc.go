// SPDX-License-Identifier: Apache-2.0

// Package sor is red-black successive over-relaxation on a square grid, the
// least that a DSM is measured with (the notes' and ArgoDSM's program): each
// node has a band of rows and shares its edges with two others.
//
// The trap: points of one colour depend on the other's only, so that the result
// does not depend on who computes when; with a width that is no multiple of a
// page's 512 points two bands share a page.
//
//	p := &sor.SOR{Size: 1024, Iterations: 50}
//	digest, err := p.Parallel(n, progress)
package sor
