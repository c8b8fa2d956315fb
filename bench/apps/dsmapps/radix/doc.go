// SPDX-License-Identifier: Apache-2.0

// Package radix sorts integers digit by digit, as SPLASH-2's program does: each
// node counts the digits of its part, sees all counts, and puts its keys where
// they belong in another array. There all nodes write to all pages: false
// sharing at its worst.
//
// The trap: counts have a row a node, so that nobody's are added up before the
// barrier; and a pass reads one array and writes the other, so that a pass that
// is replayed finds what it began with.
//
//	p := &radix.Radix{Keys: 1 << 20, Digit: 10}
//	digest, err := p.Parallel(n, progress)
package radix
