// SPDX-License-Identifier: Apache-2.0

package vtime

import (
	"fmt"
	"strings"
)

// Node is the number of a process P_i; each runs on a node of its own (§4.3.2).
type Node uint16

func (n Node) String() string { return fmt.Sprintf("P%d", uint16(n)) }

// Interval counts one process's intervals. The first is 1: 0 is the state
// before any write.
type Interval = uint64

// Time is a vector time, one interval a process.
type Time []Interval

// New returns the time before any write, for n processes.
func New(n int) Time { return make(Time, n) }

// Clone returns a copy.
func (t Time) Clone() Time { return append(Time(nil), t...) }

// Join makes t the least time that is not before t nor before o.
func (t Time) Join(o Time) {
	for i, v := range o {
		t[i] = max(t[i], v)
	}
}

// Meet makes t the greatest time that is neither after t nor after o.
func (t Time) Meet(o Time) {
	for i, v := range o {
		t[i] = min(t[i], v)
	}
}

// LessEq is true if every element of t is at most o's (§4.4.3).
func (t Time) LessEq(o Time) bool {
	for i, v := range t {
		if v > o[i] {
			return false
		}
	}
	return true
}

// Equal is true if every element is the same.
func (t Time) Equal(o Time) bool { return t.LessEq(o) && o.LessEq(t) }

// Sum puts times in a total order that respects LessEq.
func (t Time) Sum() uint64 {
	var s uint64
	for _, v := range t {
		s += uint64(v)
	}
	return s
}

func (t Time) String() string {
	var b strings.Builder
	for i, v := range t {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, v)
	}
	return "<" + b.String() + ">"
}
