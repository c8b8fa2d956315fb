// SPDX-License-Identifier: Apache-2.0

// Command fetch measures remote reads (§3.9.3: "the raw latency of a remote
// memory read is about 16 us for small payloads, and 118 us with a 10 KB
// payload") and fetch_sb, the fetch of a whole Sensor Box (§3.4.1).
//
// The trap: over the emulated intelligent NIC a read is a memory copy, so these
// figures are the floor that the software sets, not what a network card will
// give. The copy's source is another machine's memory, warm in the cache here.
//
//	go run ./bench/fetch --files   # a synthetic target: no VM
//	go run ./bench/fetch
//	go run ./bench/fetch --wire    # by rdma_rxe and bdnic, over RoCEv2, beside it
package main
