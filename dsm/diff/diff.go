// SPDX-License-Identifier: Apache-2.0

package diff

import (
	"bytes"
	"encoding/binary"
)

// Run is a piece of a page that changed.
type Run struct {
	Off  uint16
	Data []byte
}

// Diff is what changed in a page: runs in rising order, never empty, with at
// least one byte that did not change between two of them.
type Diff []Run

// chunk is what bytes.Equal compares at once: most of a page did not change.
const chunk = 256

// Make returns what distinguishes page from its twin, nil if nothing does. Both
// have the same length, at most 32 KiB. The diff owns its bytes.
func Make(twin, page []byte) Diff {
	var d Diff
	start := -1 // of the run that is open
	for at := 0; at < len(page); at += chunk {
		end := min(at+chunk, len(page))
		if start < 0 && bytes.Equal(twin[at:end], page[at:end]) {
			continue
		}
		for i := at; i < end; i++ {
			if start < 0 {
				if i = skip(twin, page, i, end); i == end {
					break
				}
			}
			changed := twin[i] != page[i]
			switch {
			case changed && start < 0:
				start = i
			case !changed && start >= 0:
				d, start = d.add(page, start, i), -1
			}
		}
	}
	if start >= 0 {
		d = d.add(page, start, len(page))
	}
	return d
}

// skip passes over words that are the same.
func skip(twin, page []byte, i, end int) int {
	for i+8 <= end && binary.NativeEndian.Uint64(twin[i:]) == binary.NativeEndian.Uint64(page[i:]) {
		i += 8
	}
	return i
}

func (d Diff) add(page []byte, from, to int) Diff {
	return append(d, Run{Off: uint16(from), Data: bytes.Clone(page[from:to])})
}

// Apply writes the changed bytes, and no other, into page.
func (d Diff) Apply(page []byte) {
	for _, r := range d {
		copy(page[r.Off:], r.Data)
	}
}

// Bytes is how many bytes changed.
func (d Diff) Bytes() int {
	n := 0
	for _, r := range d {
		n += len(r.Data)
	}
	return n
}

// Fits is true if every run lies in a page of this size, in rising order: what
// another node sends is checked with it before it is applied.
func (d Diff) Fits(size int) bool {
	end := -1 // of the run before, and one byte between
	for _, r := range d {
		if int(r.Off) <= end || len(r.Data) == 0 || int(r.Off)+len(r.Data) > size {
			return false
		}
		end = int(r.Off) + len(r.Data)
	}
	return true
}
