// SPDX-License-Identifier: Apache-2.0

// Package diff makes and applies diffs: the bytes of a page that differ from
// its twin, the copy taken before the first write of an interval (§4.3.2).
//
// Programs are free of data races by the byte, so a diff holds exactly the
// bytes that changed: two writers may have neighbouring bytes of one word, and
// a byte that came along with a longer run would undo the other's write.
//
// The trap: a byte that was written with the value it had is not in the diff.
// That is right, because whoever wrote it had the newest value before; but only
// if nobody was shown what it was in between.
//
//	twin := bytes.Clone(page)
//	page[7] = 1
//	d := diff.Make(twin, page) // one run: offset 7, one byte
//	d.Apply(home)
package diff
