// SPDX-License-Identifier: Apache-2.0

// Package lu factors a dense matrix into a lower and an upper triangle, without
// pivoting, by blocks that lie together in memory and belong to nodes like the
// squares of a chess board, as SPLASH-2's program does.
//
// The trap: what a block takes from others is subtracted product by product in
// the order of the textbook's three loops, not summed first. So blocks of any
// size have the same result.
//
//	p := &lu.LU{Size: 512, Block: 16}
//	digest, err := p.Parallel(n, progress)
package lu
