// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"encoding/binary"
	"fmt"
)

const kernelMap = 0xffffffff80000000

// image is physical memory from address 0, and a bump allocator in it.
type image struct {
	ram      []byte
	base     uint64 // page_offset_base
	physBase uint64
	next     uint64
	free     map[uint64][]uint64 // size -> addresses given back
}

func newImage(c config) image {
	clear(c.ram)
	im := image{ram: c.ram, base: 0xffff888000000000, next: 1 << 20, free: map[uint64][]uint64{}}
	im.physBase = ^uint64(16<<20) + 1 // image addresses are then kernelMap + 16 MiB + pa
	if c.levels == 5 {
		im.base = 0xff11000000000000
	}
	return im
}

// alloc returns the physical address of n zeroed bytes, 64-byte aligned; page
// multiples are page aligned.
func (im *image) alloc(n uint64) uint64 {
	n = (n + 63) &^ 63
	if list := im.free[n]; len(list) > 0 {
		pa := list[len(list)-1]
		im.free[n] = list[:len(list)-1]
		clear(im.ram[pa : pa+n])
		return pa
	}
	if n%4096 == 0 {
		im.next = (im.next + 4095) &^ 4095
	}
	pa := im.next
	im.next += n
	if im.next > uint64(len(im.ram)) {
		panic(fmt.Sprintf("bdtest: %d bytes of RAM are used up: WithRAM", len(im.ram)))
	}
	return pa
}

func (im *image) release(pa, n uint64) {
	n = (n + 63) &^ 63
	im.free[n] = append(im.free[n], pa)
}

func (im *image) at(pa uint64, n int) []byte { return im.ram[pa : pa+uint64(n)] }

func (im *image) direct(pa uint64) uint64 { return im.base + pa }

func (im *image) symbol(pa uint64) uint64 { return kernelMap + pa - im.physBase }

// physical undoes direct and symbol.
func (im *image) physical(va uint64) uint64 {
	if va >= kernelMap {
		return va - kernelMap + im.physBase
	}
	return va - im.base
}

func (im *image) put64(pa, v uint64) { binary.LittleEndian.PutUint64(im.ram[pa:], v) }
func (im *image) get64(pa uint64) uint64 {
	return binary.LittleEndian.Uint64(im.ram[pa:])
}
func (im *image) put32(pa uint64, v uint32) { binary.LittleEndian.PutUint32(im.ram[pa:], v) }

func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
