// SPDX-License-Identifier: Apache-2.0

package seqnum

// Value is a TCP sequence number.
type Value uint32

// Size is a distance between two Values.
type Size uint32

// Add returns the number n behind v.
func (v Value) Add(n Size) Value { return v + Value(n) }

// Less reports whether v lies before w.
func (v Value) Less(w Value) bool { return int32(v-w) < 0 }

// LessEq reports whether v lies before w or is w.
func (v Value) LessEq(w Value) bool { return v == w || v.Less(w) }

// InRange reports whether v lies in [first, end).
func (v Value) InRange(first, end Value) bool { return v-first < end-first }

// InWindow reports whether v lies in the size numbers from first on.
func (v Value) InWindow(first Value, size Size) bool { return v.InRange(first, first.Add(size)) }

// Size returns how far w lies behind v.
func (v Value) Size(w Value) Size { return Size(w - v) }

// Max returns the later of two numbers.
func Max(v, w Value) Value {
	if v.Less(w) {
		return w
	}
	return v
}

// PSN is a packet sequence number of RoCEv2: 24 bits.
type PSN uint32

const psnMask = 1<<24 - 1

// NewPSN takes the low 24 bits.
func NewPSN(v uint32) PSN { return PSN(v & psnMask) }

// Add returns the number n behind p; n may be negative.
func (p PSN) Add(n int) PSN { return PSN(uint32(int(p)+n) & psnMask) }

// Diff returns how far p lies behind q: negative if before it.
func (p PSN) Diff(q PSN) int { return int(int32(uint32(p-q)<<8) >> 8) }

// Less reports whether p lies before q.
func (p PSN) Less(q PSN) bool { return p.Diff(q) < 0 }
