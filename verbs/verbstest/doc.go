// SPDX-License-Identifier: Apache-2.0

// Package verbstest is the one conformance suite of verbs providers: whatever
// two devices are given to it, the same operations must have the same results,
// those that the InfiniBand specification (volume 1, chapters 9 to 11) and
// libibverbs ask for.
//
// What a Pair cannot do is skipped by its capabilities only: those of its
// devices (driver.Caps, MaxMsgSize), and the few fields of Pair. A single test
// is run with -run 'TestConformance/Sizes'.
//
// The pairs: mem, shm in one process and in two, roce over UDP, frames and a
// network that loses packets, each in its own package; SoftRoCE with itself in
// a guest, with -race on 6.12 and cgocheck2 on 6.1 (package ibv); roce and
// SoftRoCE, each as the one that asks (package proxy), in short: make soak runs
// that in full on both kernels, the two kernels with each other, and what needs
// no guest with -race.
//
// The traps: a provider's test is in an external test package (roce_test), for
// verbs imports the providers; and where messages are lost on purpose, a test
// that counts retries cannot be right, so say Lossy.
//
//	func TestConformance(t *testing.T) {
//		verbstest.Run(t, verbstest.Pair{
//			Open: func(t *testing.T) (a, b driver.Device) { ... }, // the suite closes them
//		})
//	}
//
//	func TestMain(m *testing.M) { verbstest.Main(m) } // fails if something is left open
package verbstest
