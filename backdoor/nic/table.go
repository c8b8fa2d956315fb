// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"lazystate/backdoor"
	"lazystate/backdoor/guard"
	"lazystate/backdoor/uapi"
)

// Where a connection finds its root and its table. They are in no memory of the
// target's, so any addresses do; the pages between keep them apart in traces.
const (
	rootAddr  = 0x1000
	tableAddr = 0x10000
	ownerAddr = 0x20000 // owner requests; their answers a page further
)

// entry is one region as a connection sees it.
type entry struct {
	backdoor.Region
	under backdoor.Region // the target's own; its Key names it to the Memory
	own   uint32          // kind, of a region that the guard itself answers
}

// table is what one connection may touch in one view of the target.
type table struct {
	view    *view
	bank    int
	entries []entry
	raw     []byte
	root    uapi.Root
}

// newTable makes the region table for a monitor: keys are those of the bank, and
// permissions are what both the target and the policy allow.
func newTable(v *view, m *guard.Monitor, bank int, keys []uint32, tableKey uint32) *table {
	t := &table{view: v, bank: bank}
	for _, r := range v.regions {
		switch r.Kind {
		case uapi.KindTable, uapi.KindOwnerReq, uapi.KindOwnerAck:
			continue // the guard's own take their place
		}
		t.add(entry{Region: r, under: r}, m)
	}
	read, write := backdoor.PermRead, backdoor.PermWrite
	own := func(kind uint32, name string, perm backdoor.Perm, addr, n uint64) {
		r := backdoor.Region{Name: name, Kind: kind, Perm: perm, Addr: addr, Len: n, Generation: v.root.Generation, BootID: v.root.BootID}
		t.add(entry{Region: r, own: kind}, m)
	}
	own(uapi.KindOwnerReq, "owner", write, ownerAddr, uapi.OwnerReqsSize)
	own(uapi.KindOwnerAck, "owner.ack", read, ownerAddr+0x1000, uapi.OwnerAckSize)
	for i := range t.entries {
		t.entries[i].Key = keys[i]
	}
	t.encode(v, tableKey)
	return t
}

func (t *table) add(e entry, m *guard.Monitor) {
	allowed := backdoor.Perm(0)
	if m.Read>>e.Kind&1 == 1 {
		allowed |= backdoor.PermRead
	}
	if m.MayWrite(e.Kind) {
		allowed |= backdoor.PermWrite | backdoor.PermAtomic
	}
	e.Perm &= allowed
	if e.Perm != 0 && len(t.entries) < uapi.MaxRegions-1 { // one place is the table's own
		t.entries = append(t.entries, e)
	}
}

// encode writes the table and the root as the monitor reads them.
func (t *table) encode(v *view, tableKey uint32) {
	self := backdoor.Region{
		Name: "table", Kind: uapi.KindTable, Perm: backdoor.PermRead, Addr: tableAddr, Len: uapi.TableSize,
		Key: tableKey, Generation: v.root.Generation, BootID: v.root.BootID,
	}
	raw := uapi.Table{Magic: uapi.TableMagic, EntrySize: uapi.RegionSize, Generation: v.root.Generation, BootID: v.root.BootID}
	put := func(r *backdoor.Region) {
		e := &raw.Regions[raw.Count]
		uapi.PutCString(e.Name[:], r.Name)
		e.Kind, e.Perm, e.Addr, e.Len, e.GPA, e.Key = r.Kind, uint32(r.Perm), r.Addr, r.Len, r.GPA, r.Key
		e.Generation, e.BootID = r.Generation, r.BootID
		if r.MMIO {
			e.Flags |= uapi.RegionMMIO
		}
		if r.BAR {
			e.Flags |= uapi.RegionBar
		}
		raw.Count++
	}
	put(&self)
	for i := range t.entries {
		put(&t.entries[i].Region)
	}
	t.raw = raw.Encode()
	t.root = v.root
	t.root.TableAddr, t.root.TableGPA, t.root.TableLen, t.root.TableKey = tableAddr, 0, uapi.TableSize, tableKey
}
