// SPDX-License-Identifier: Apache-2.0

package bdtest

import "fmt"

const (
	present = 0x63 // present, writable, accessed, dirty
	huge    = 0x80
	noExec  = 1 << 63
)

func (t *Target) buildTables() { t.tables = t.alloc(4096) }

// MapPage makes the page of physical memory at pa visible at a vmalloc or
// module address, with a leaf at level 1 (4 KiB), 2 (2 MiB) or 3 (1 GiB).
func (t *Target) MapPage(va, pa uint64, level int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if level < 1 || level > 3 {
		panic(fmt.Sprintf("bdtest: no leaf at level %d", level))
	}
	entry := t.entry(va, level)
	bits := uint64(present | noExec)
	if level > 1 {
		bits |= huge
	}
	t.put64(entry, pa|bits)
}

// PageEntry returns the direct-map address of va's entry at a level, making
// the tables above it, so that a test can corrupt it.
func (t *Target) PageEntry(va uint64, level int) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.direct(t.entry(va, level))
}

func (t *Target) entry(va uint64, level int) uint64 {
	table := t.tables
	for l := t.cfg.levels; ; l-- {
		e := table + (va>>(12+9*(l-1))&511)*8
		if l == level {
			return e
		}
		if t.get64(e) == 0 {
			t.put64(e, t.alloc(4096)|present)
		}
		table = t.get64(e) & 0x000ffffffffff000
	}
}

// Alloc returns the direct-map address of n zeroed bytes of the target.
func (t *Target) Alloc(n int) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.direct(t.alloc(uint64(n)))
}

// Physical returns the physical address behind a direct-map or image address.
func (t *Target) Physical(va uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.physical(va)
}
