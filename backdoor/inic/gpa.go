// SPDX-License-Identifier: Apache-2.0

package inic

// Machine is the part of a QEMU machine type that decides where RAM lies.
type Machine uint8

const (
	Q35 Machine = iota // low memory ends at 2 GiB
	PC                 // i440fx: low memory ends at 3 GiB
)

const gib = 1 << 30

// above4G is where RAM goes on behind the PCI hole.
const above4G = 4 * gib

// lowMemory returns how many bytes of a guest's RAM lie below the hole. The
// machines move the border only for guests that do not fit below it
// (hw/i386/pc_q35.c, pc_piix.c: 0xb0000000 and 0xe0000000 become round
// numbers once RAM reaches them).
func (m Machine) lowMemory(size uint64) uint64 {
	limit, round := uint64(0xb0000000), uint64(2*gib)
	if m == PC {
		limit, round = 0xe0000000, 3*gib
	}
	if size < limit {
		return size
	}
	return round
}

// offset turns n bytes of guest physical memory into an offset of the RAM
// file. ok is false for the hole, for what lies behind RAM, and for a range
// that crosses either.
func (m Machine) offset(gpa, n, size uint64) (off uint64, ok bool) {
	low := m.lowMemory(size)
	if gpa < low {
		return gpa, n <= low-gpa
	}
	if gpa < above4G || size <= low {
		return 0, false
	}
	off = gpa - above4G + low
	return off, off >= low && off < size && n <= size-off
}
