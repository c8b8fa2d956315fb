// SPDX-License-Identifier: Apache-2.0

// Package cache is a key-value cache in shared memory under a skewed load: a
// table of buckets, each of a few slots with the values last used, before
// records that are slower to reach. A bucket's lock guards its slots and the
// records of its keys. Few keys get most of the requests, so their locks go from
// node to node.
//
// The trap: which requests hit depends on who came first. What must not depend
// on it are the values, for additions have no order, and that each request is
// done once: hits and misses together are the requests, also after a restart.
//
//	p := &cache.Cache{Requests: 100000, Keys: 4096, Slots: 1024, Writes: 20, Skew: 1.1}
//	digest, err := p.Parallel(n, progress)
package cache
