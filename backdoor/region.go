// SPDX-License-Identifier: Apache-2.0

package backdoor

import "fmt"

// Perm is what a monitor may do with a region.
type Perm uint32

const (
	PermRead   Perm = 1
	PermWrite  Perm = 2
	PermAtomic Perm = 4
)

func (p Perm) String() string {
	s := []byte("---")
	for i, c := range "rwa" {
		if p&(1<<i) != 0 {
			s[i] = byte(c)
		}
	}
	return string(s)
}

// BootID is drawn by the module at every load.
type BootID [16]byte

func (id BootID) String() string { return fmt.Sprintf("%x", id[:]) }

// Region is a named, bounded piece of a target's memory: the validated copy
// of a struct bd_region.
type Region struct {
	Name       string
	Kind       uint32 // uapi.Kind*
	Perm       Perm
	Addr       uint64 // as remote operations name it
	Len        uint64
	GPA        uint64 // guest physical address, for the I-NIC
	Key        uint32
	MMIO       bool // device memory, §3.3
	BAR        bool // of the I-NIC's own register BAR; Addr is the offset in it
	Generation uint64
	BootID     BootID
}

// Contains reports whether [addr, addr+n) lies in the region, without overflow.
func (r *Region) Contains(addr, n uint64) bool {
	return addr >= r.Addr && n <= r.Len && addr-r.Addr <= r.Len-n
}

// Read returns the operation that reads len(buf) bytes at offset off.
func (r *Region) Read(off uint64, buf []byte) Op {
	return Op{Kind: OpRead, Addr: r.Addr + off, Key: r.Key, Buf: buf}
}

// Write returns the operation that writes buf at offset off.
func (r *Region) Write(off uint64, buf []byte) Op {
	return Op{Kind: OpWrite, Addr: r.Addr + off, Key: r.Key, Buf: buf}
}

// AccessError is an operation that the guard or the target's side refused.
type AccessError struct {
	Op     OpKind
	Addr   uint64
	Len    int
	Region string // the region whose key was named; "" if no region has it
	Why    string // "out of range", "no write permission", "unknown key", ...
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("%s %#x+%d in region %q: %s", e.Op, e.Addr, e.Len, e.Region, e.Why)
}

func (k OpKind) String() string {
	switch k {
	case OpRead:
		return "read"
	case OpWrite:
		return "write"
	case OpCmpSwap:
		return "compare-and-swap"
	case OpFetchAdd:
		return "fetch-and-add"
	}
	return fmt.Sprintf("op(%d)", uint8(k))
}
