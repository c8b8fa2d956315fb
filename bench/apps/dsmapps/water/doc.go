// SPDX-License-Identifier: Apache-2.0

// Package water computes the motion of liquid water, in the manner of SPLASH-2's
// two programs: Nsquared looks at all pairs of molecules, Spatial at those in
// neighbouring cells of the box. Molecules are three charged sites that springs
// hold together; oxygens attract and repel each other. A predictor-corrector of
// sixth order moves them.
//
// In Nsquared a node has a part of the molecules and adds what it found to the
// forces of half of all, each under a lock. In Spatial a node has a part of the
// cells, and molecules go over from one's list to another's.
//
// The trap: both programs and the sequential one have the same result to the
// bit. Forces and energies are sums of program.Fixed, and a pair is computed from
// its molecule with the lower number, whoever does.
//
//	p := &water.Nsquared{Size: water.Size{Side: 8, Steps: 3}}
//	digest, err := p.Parallel(n, progress)
package water
