// SPDX-License-Identifier: Apache-2.0

package mtcp

import "lazystate/internal/seqnum"

// Stream is one direction of a TCP connection. Byte 0 has the number First,
// which is the initial sequence number plus one: the SYN has the one before.
type Stream struct{ First seqnum.Value }

// Seq returns the sequence number of the byte at off.
func (s Stream) Seq(off uint64) seqnum.Value { return s.First + seqnum.Value(off) }

// Offset returns the offset near ref that has the number seq: of the many that
// have it, the one less than 2^31 away. It is false if that would lie before
// the first byte.
func (s Stream) Offset(seq seqnum.Value, ref uint64) (uint64, bool) {
	d := int64(int32(seq - s.Seq(ref)))
	if d < 0 && uint64(-d) > ref {
		return 0, false
	}
	return ref + uint64(d), true
}
