// SPDX-License-Identifier: Apache-2.0

package dsm

// Counters count from the node's start; a restarted node begins anew. Bytes are
// those that changed, as in LogBytes.
type Counters struct {
	Misses     uint64 // accesses to pages that were not here, or not whole
	Upgrades   uint64 // first writes of an interval
	Found      uint64 // pages that lay on their home's shelf
	Intervals  uint64
	LogCreated uint64 // bytes of diffs logged
	LogSaved   uint64 // of these, in a checkpoint
	LogMost    uint64 // bytes of diffs in one checkpoint, at most: the log on stable storage
	LogGone    uint64 // of these, discarded by LLT
	Granted    uint64 // tokens sent to others
	News       uint64 // messages that carried what LLT and CGC need
	NewsBytes  uint64 // of that, as dsm/wire writes it
	Saved      uint64 // checkpoints
	WindowMost int    // checkpoints kept at once, W_max of Table 4.4
}

// Counters returns them as they are now.
func (n *Node) Counters() Counters { return n.count }
