// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"encoding/binary"
	"math"

	"lazystate/backdoor/uapi"
)

// tableHeader is the part of struct bd_table before its regions.
const tableHeader = uapi.TableRegionsOff

// maxTable bounds what is read for a table, whatever the root says.
const maxTable = 64 << 10

// DecodeRoot validates a copy of the root record. A root without magic or of
// generation 0 is ErrWithdrawn: the module is not (or no longer) there.
func DecodeRoot(b []byte) (uapi.Root, error) {
	var r uapi.Root
	if err := r.Decode(b); err != nil {
		return r, corrupt("root", "%v", err)
	}
	switch {
	case r.Magic == 0, r.Magic == uapi.RootMagic && r.Generation == 0:
		return r, ErrWithdrawn
	case r.Magic != uapi.RootMagic:
		return r, corrupt("root", "magic %#x", r.Magic)
	case r.Major != uapi.VersionMajor:
		return r, corrupt("root", "version %d.%d, this monitor speaks %d.x", r.Major, r.Minor, uapi.VersionMajor)
	case r.Size < uapi.RootSize:
		return r, corrupt("root", "size %d", r.Size)
	case r.TableLen < tableHeader || r.TableLen > maxTable:
		return r, corrupt("root", "region table of %d bytes", r.TableLen)
	case overflows(r.TableAddr, uint64(r.TableLen)) || overflows(r.TableGPA, uint64(r.TableLen)):
		return r, corrupt("root", "region table at %#x (gpa %#x) wraps around", r.TableAddr, r.TableGPA)
	}
	return r, nil
}

// DecodeTable validates a copy of the region table.
func DecodeTable(b []byte) ([]Region, uint64, BootID, error) {
	var h uapi.Table
	full := make([]byte, uapi.TableSize)
	copy(full, b)
	if err := h.Decode(full); err != nil || len(b) < tableHeader {
		return nil, 0, BootID{}, corrupt("region table", "%d bytes", len(b))
	}
	boot := BootID(h.BootID)
	room := uint64(len(b) - tableHeader)
	switch {
	case h.Magic != uapi.TableMagic:
		return nil, 0, boot, corrupt("region table", "magic %#x", h.Magic)
	case h.Count > uapi.MaxRegions:
		return nil, 0, boot, corrupt("region table", "%d regions, at most %d", h.Count, uapi.MaxRegions)
	case h.EntrySize < uapi.RegionSize || uint64(h.Count)*uint64(h.EntrySize) > room:
		return nil, 0, boot, corrupt("region table", "%d entries of %d bytes in %d", h.Count, h.EntrySize, room)
	}
	regions := make([]Region, 0, h.Count)
	for i := range int(h.Count) {
		entry := b[tableHeader+i*int(h.EntrySize):]
		if binary.LittleEndian.Uint32(entry[uapi.RegionKindOff:]) == 0 {
			continue // withdrawn, its place is free
		}
		r, err := decodeRegion(entry)
		if err == nil && (r.BootID != boot || r.Generation == 0 || r.Generation > h.Generation) {
			err = corrupt("region", "boot id %s, generation %d in a table of %s, %d", r.BootID, r.Generation, boot, h.Generation)
		}
		if err != nil {
			return nil, 0, boot, corrupt("region table", "entry %d: %v", i, err)
		}
		regions = append(regions, r)
	}
	return regions, h.Generation, boot, nil
}

func decodeRegion(b []byte) (Region, error) {
	var e uapi.Region
	if err := e.Decode(b); err != nil {
		return Region{}, err
	}
	r := Region{
		Name: uapi.CString(e.Name[:]), Kind: e.Kind, Perm: Perm(e.Perm), Addr: e.Addr, Len: e.Len, GPA: e.GPA,
		Key: e.Key, MMIO: e.Flags&uapi.RegionMMIO != 0, BAR: e.Flags&uapi.RegionBar != 0, Generation: e.Generation, BootID: e.BootID,
	}
	const all = PermRead | PermWrite | PermAtomic
	switch {
	case !printable(r.Name):
		return r, corrupt("region", "name %q", r.Name)
	case r.Perm&^all != 0:
		return r, corrupt("region", "%q has permissions %#x", r.Name, uint32(r.Perm))
	case r.Len == 0 || overflows(r.Addr, r.Len) || overflows(r.GPA, r.Len):
		return r, corrupt("region", "%q: %d bytes at %#x (gpa %#x)", r.Name, r.Len, r.Addr, r.GPA)
	case r.Kind == uapi.KindMemory && r.Perm&^PermRead != 0:
		return r, corrupt("region", "%q: the whole memory with permissions %s", r.Name, r.Perm)
	}
	return r, nil
}

func overflows(addr, n uint64) bool { return n > 0 && addr > math.MaxUint64-(n-1) }

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return s != ""
}
