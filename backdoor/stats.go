// SPDX-License-Identifier: Apache-2.0

package backdoor

import "sync/atomic"

// Stats counts what a Target asked of its carrier: over RDMA each batch is a
// round trip, so the counts carry over where the times do not.
type Stats struct {
	Reads, Writes, Atomics, Batches, Bytes uint64
}

// Sub returns what happened since an earlier copy.
func (s Stats) Sub(old Stats) Stats {
	return Stats{s.Reads - old.Reads, s.Writes - old.Writes, s.Atomics - old.Atomics, s.Batches - old.Batches, s.Bytes - old.Bytes}
}

type counters struct {
	reads, writes, atomics, batches, bytes atomic.Uint64
}

func (c *counters) count(ops []Op) {
	c.batches.Add(1)
	var reads, writes, atomics, bytes uint64
	for i := range ops {
		bytes += uint64(len(ops[i].Buf))
		switch ops[i].Kind {
		case OpRead:
			reads++
		case OpWrite:
			writes++
		default:
			atomics++
		}
	}
	c.reads.Add(reads)
	c.writes.Add(writes)
	c.atomics.Add(atomics)
	c.bytes.Add(bytes)
}

func (c *counters) snapshot() Stats {
	return Stats{c.reads.Load(), c.writes.Load(), c.atomics.Load(), c.batches.Load(), c.bytes.Load()}
}
