// SPDX-License-Identifier: Apache-2.0

package extracttest

import (
	"embed"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"lazystate/backdoor"
	"lazystate/internal/seqnum"
)

// Memory is where it all lies: a bdtest.Target.
type Memory interface {
	Alloc(n int) uint64 // direct-map address of n zeroed bytes
	Poke(va uint64, b []byte)
	Peek(va uint64, n int) []byte
}

// Kernel is the memory and how it is laid out.
type Kernel struct {
	Stored func() // after every store

	mem    Memory
	off    map[string]backdoor.Member
	bits   map[string]uint64
	rng    *rand.Rand
	base   uint64
	silent bool
}

//go:embed layout
var layouts embed.FS

const (
	vmemmap    = 0xffffea0000000000
	sizeofPage = 64
	pageSize   = 4096
)

// Manifest is what the module would say of a kernel, "6.1" or "6.12", to be added
// to a bdtest.Target's.
func Manifest(kernel string) (map[string]backdoor.Member, map[string]uint64) {
	text, err := layouts.ReadFile("layout/" + kernel + ".txt")
	if err != nil {
		panic(err)
	}
	members := map[string]backdoor.Member{}
	values := map[string]uint64{"vmemmap_base": vmemmap, "sizeof_page": sizeofPage}
	for line := range strings.Lines(string(text)) {
		var name string
		var m backdoor.Member
		var v uint64
		if n, _ := fmt.Sscanf(line, "%s = %d", &name, &v); n == 2 {
			values[name] = v
		} else if n, err := fmt.Sscanf(line, "%s %d %d", &name, &m.Off, &m.Size); n == 3 {
			members[name] = m
		} else {
			panic(fmt.Sprintf("%s: %v", line, err))
		}
	}
	return members, values
}

// New begins with no sockets.
func New(mem Memory, kernel string, seed uint64) *Kernel {
	off, bits := Manifest(kernel)
	k := &Kernel{mem: mem, off: off, bits: bits, rng: rand.New(rand.NewPCG(seed, 1)), Stored: func() {}}
	k.base = mem.Alloc(pageSize) &^ (1<<36 - 1) // page_offset_base
	return k
}

func (k *Kernel) at(name string) uint64 {
	m, ok := k.off[name]
	if !ok {
		panic("extracttest: no member " + name)
	}
	return uint64(m.Off)
}

func (k *Kernel) store(va uint64, b []byte) {
	k.mem.Poke(va, b)
	if !k.silent {
		k.Stored()
	}
}

func (k *Kernel) store8(va uint64, v uint8) { k.store(va, []byte{v}) }
func (k *Kernel) store32(va uint64, v uint32) {
	k.store(va, binary.LittleEndian.AppendUint32(nil, v))
}
func (k *Kernel) store64(va uint64, v uint64) {
	k.store(va, binary.LittleEndian.AppendUint64(nil, v))
}

// field stores a member of the structure at addr, as wide as it is.
func (k *Kernel) field(addr uint64, name string, v uint64) {
	n := k.off[name].Size
	k.store(addr+k.at(name), binary.LittleEndian.AppendUint64(nil, v)[:n])
}

// bit stores a bit field.
func (k *Kernel) bit(addr uint64, name string, v uint64) {
	n := int(k.off[name].Size)
	at := addr + k.at(name)
	word := append(k.mem.Peek(at, n), make([]byte, 8-n)...)
	mask := (uint64(1)<<k.bits[name+".width"] - 1) << k.bits[name+".shift"]
	u := binary.LittleEndian.Uint64(word)&^mask | v<<k.bits[name+".shift"]&mask
	k.store(at, binary.LittleEndian.AppendUint64(nil, u)[:n])
}

// anyOrder does what the compiler may do in any order.
func (k *Kernel) anyOrder(stores ...func()) {
	k.rng.Shuffle(len(stores), func(i, j int) { stores[i], stores[j] = stores[j], stores[i] })
	for _, f := range stores {
		f()
	}
}

// quietly makes structures that nothing leads to yet: nobody sees these stores.
func (k *Kernel) quietly(f func()) {
	was := k.silent
	k.silent = true
	f()
	k.silent = was
}

// page returns the address of the struct page of a direct-map address.
func (k *Kernel) page(va uint64) uint64 { return vmemmap + (va-k.base)/pageSize*sizeofPage }

// freed is what the allocator leaves of memory that is free: a reader that still
// believes in it shows.
func (k *Kernel) freed(va uint64, n int) {
	k.mem.Poke(va, []byte(strings.Repeat("\x6b", n)))
}

// Byte is the byte at a number, of either direction.
func Byte(out bool, at seqnum.Value) byte {
	v := uint32(at) * 2654435761
	if out {
		v ^= 0x5bd1e995
	}
	return byte(v>>24) ^ byte(v>>7)
}

// Bytes are those of [from, to).
func Bytes(out bool, from, to seqnum.Value) []byte {
	b := make([]byte, from.Size(to))
	for i := range b {
		b[i] = Byte(out, from+seqnum.Value(i))
	}
	return b
}
