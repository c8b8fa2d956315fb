// SPDX-License-Identifier: Apache-2.0

// Command verbsvm compares package verbs over SoftRoCE with perftest, which is
// C on the same libibverbs: READs of 64 bytes one at a time against
// ib_read_lat, of 64 KiB with 128 at once against ib_read_bw, inside one guest
// and between two. What differs is what our binding costs (§3.9.3: remote read
// latencies).
//
// The trap: on an emulated processor of a shared host a run is nothing without
// its neighbour: both programs run in turn, in pairs, and the figure is the
// median of the pairs' ratios.
//
//	go run ./bench/verbsvm            # bench/results/verbsvm.csv
//	go run ./bench/verbsvm --kernel 6.12 --out /tmp
package main
