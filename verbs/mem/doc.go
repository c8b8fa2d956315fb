// SPDX-License-Identifier: Apache-2.0

// Package mem is RDMA devices of one process: for tests of whatever speaks
// verbs. Between them lies a network that loses, doubles, overtakes and delays
// messages as a seed says, and above it a small reliable engine with the
// behaviour of a reliable connection: sequence numbers, retries, RNR, errors
// that flush (InfiniBand specification volume 1, chapter 9). It stands in for
// the network of §3.9.2 where a test wants its faults to be repeatable.
//
// The traps: a message is one packet whatever its size, so what an MTU changes
// is not seen here; the seed repeats the dice, not the schedule of goroutines
// that throw them.
//
//	net := mem.NewNetwork(mem.Faults{Seed: 1, Loss: 0.02, Reorder: 0.05})
//	a, b := verbs.New(net.Device()), verbs.New(net.Device())
//
// or, by name, for whole programs in one process:
//
//	dev, err := verbs.Open(ctx, "mem://lab?seed=1&loss=0.02")
package mem
