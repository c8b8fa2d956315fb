// SPDX-License-Identifier: Apache-2.0

// Package memtemp has a test's temporary files in memory: a run of a fraction of a second
// can be over before a disk has written what it is to find there.
//
// The trap: programs that are killed leave their folders, and in memory those cost it
// until the host boots again. So all are in one, which goes with the test.
//
//	memtemp.Use(t) // when what is large or to be run has been built
package memtemp
