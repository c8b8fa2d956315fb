// SPDX-License-Identifier: Apache-2.0

// Command reads is what ib_read_lat and ib_read_bw of perftest are, over
// package verbs: READs from another process's memory, one at a time or as many
// at once as the queue holds.
//
// The trap: a program that posts a batch for each doorbell, or sees more
// completions, is not compared with one that does otherwise, so both are flags.
//
//	reads --listen 10.77.0.2:7700                 # serves one connection after the other
//	reads --dial 10.77.0.2:7700 --size 64         # latency, microseconds
//	reads --dial 10.77.0.2:7700 --size 65536 --depth 128 --every 100
//	{"median_us":0,"mean_us":1204.1,"mib_per_s":51.9}
package main
