// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"hash/crc32"
	"maps"
	"slices"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// sboxSize is a header, then records of 64 bytes, in BD_SBOX_PAGES.
const sboxSize = uapi.SboxPages * 4096

// publish lays out the areas and writes manifest, table and root, root last.
func (t *Target) publish() {
	read, write := backdoor.PermRead, backdoor.PermRead|backdoor.PermWrite
	t.regions = nil
	t.addArea(uapi.KindTable, "table", read, uapi.TableSize)
	t.addArea(uapi.KindSensorbox, "sensorbox", read, sboxSize)
	t.addArea(uapi.KindUserSensors, "user-sensors", read, uapi.UserRegionPages*4096)
	t.addArea(uapi.KindUIDs, "uids", read, uapi.UIDsSize)
	t.addArea(uapi.KindLockAck, "lock-ack", read, uapi.LockAckSize)
	t.addArea(uapi.KindPanic, "panic", read, uapi.PanicSize)
	t.addArea(uapi.KindForeign, "foreign", read, uapi.ForeignMax*uapi.ForeignSize)
	if !t.cfg.noRepair {
		t.addArea(uapi.KindLockReq, "lock-req", write, uapi.LockReqsSize)
		t.addArea(uapi.KindKillReq, "kill-req", write, uapi.KillReqsSize)
		t.addArea(uapi.KindKillAck, "kill-ack", read, uapi.KillAcksSize)
		t.addArea(uapi.KindKnobReq, "knob-req", write, uapi.KnobReqsSize)
		t.addArea(uapi.KindKnobAck, "knob-ack", read, uapi.KnobAcksSize)
	}
	if t.cfg.fence {
		t.addArea(uapi.KindFence, "fence", write, uapi.FenceSize)
	}
	t.addBoxes()
	manifest := t.manifest()
	t.addArea(uapi.KindManifest, "manifest", read, uint64(len(manifest)))
	copy(t.at(t.area[uapi.KindManifest], len(manifest)), manifest)
	if !t.cfg.noMemory {
		t.addRegion(uapi.KindMemory, "memory", read, 0, uint64(len(t.ram)))
	}
	t.initAreas()
	t.writeTable()
}

func (t *Target) addArea(kind uint32, name string, perm backdoor.Perm, size uint64) {
	t.area[kind] = t.alloc((size + 4095) &^ 4095)
	t.addRegion(kind, name, perm, t.area[kind], size)
}

func (t *Target) addRegion(kind uint32, name string, perm backdoor.Perm, pa, size uint64) {
	t.regions = append(t.regions, backdoor.Region{
		Name: name, Kind: kind, Perm: perm, Addr: t.direct(pa), GPA: pa, Len: size,
		Key: 0x1100 + uint32(len(t.regions)), Generation: t.generation, BootID: t.boot,
	})
}

func (t *Target) initAreas() {
	box := uapi.Sbox{
		Magic: uapi.SboxMagic, Major: uapi.VersionMajor, Capacity: uapi.SboxCapacity, RecordSize: uapi.SensorSize,
		BootID: t.boot, Hz: 250, NCPUs: uint32(t.cfg.cpus),
	}
	box.Put(t.ram[t.area[uapi.KindSensorbox]:])
	t.put64(t.area[uapi.KindUIDs], uapi.UIDsMagic)
	t.put64(t.area[uapi.KindUserSensors], uapi.UsersMagic)
	t.put64(t.area[uapi.KindPanic], uapi.PanicMagic)
	t.writeLockAck()
}

func (t *Target) writeTable() {
	table := uapi.Table{
		Magic: uapi.TableMagic, Count: uint32(len(t.regions)), EntrySize: uapi.RegionSize,
		Generation: t.generation, BootID: t.boot,
	}
	for i, r := range t.regions {
		e := &table.Regions[i]
		uapi.PutCString(e.Name[:], r.Name)
		e.Kind, e.Perm, e.Addr, e.Len, e.GPA, e.Key = r.Kind, uint32(r.Perm), r.Addr, r.Len, r.GPA, r.Key
		e.Generation, e.BootID = r.Generation, r.BootID
		if r.MMIO {
			e.Flags = uapi.RegionMMIO
		}
	}
	table.Put(t.ram[t.area[uapi.KindTable]:])
	root := uapi.Root{
		Magic: uapi.RootMagic, Major: uapi.VersionMajor, Minor: uapi.VersionMinor, Size: uapi.RootSize,
		BootID: t.boot, Generation: t.generation, TableAddr: t.regions[0].Addr, TableGPA: t.regions[0].GPA,
		TableLen: uapi.TableSize, TableKey: t.regions[0].Key,
	}
	root.Put(t.cfg.bar)
}

func (t *Target) manifest() []byte {
	var entries []byte
	count := uint32(0)
	add := func(b []byte) { entries = append(entries, b...); count++ }
	head := func(tag, size uint32, name string) uapi.EntryHead {
		h := uapi.EntryHead{Tag: tag, Size: size}
		uapi.PutCString(h.Name[:], name)
		return h
	}
	text := func(name, s string) {
		size := uint32(uapi.EntryHeadSize+len(s)+8) &^ 7
		h := head(uapi.TagString, size, name)
		add(append(h.Encode(), append([]byte(s), make([]byte, int(size)-uapi.EntryHeadSize-len(s))...)...))
	}
	text("kernel_release", "6.1.0-bdtest")
	for _, name := range slices.Sorted(maps.Keys(t.values())) {
		e := uapi.EntryValue{Head: head(uapi.TagValue, uapi.EntryValueSize, name), Value: t.values()[name]}
		add(e.Encode())
	}
	for _, name := range slices.Sorted(maps.Keys(t.off)) {
		m := t.off[name]
		e := uapi.EntryOffset{Head: head(uapi.TagOffset, uapi.EntryOffsetSize, name), Offset: m.Off, Bytes: m.Size}
		add(e.Encode())
	}
	h := uapi.Manifest{
		Magic: uapi.ManifestMagic, Len: uint32(len(entries)), Count: count, CRC32: crc32.ChecksumIEEE(entries),
		BootID: t.boot, Generation: t.generation,
	}
	return append(h.Encode(), entries...)
}

func (t *Target) values() map[string]uint64 {
	values := map[string]uint64{
		"page_offset_base":  t.base,
		"phys_base":         t.physBase,
		"page_table_root":   t.tables,
		"page_table_levels": uint64(t.cfg.levels),
		"page_size":         4096,
		"init_task":         t.symbol(t.initPID.task),
		"init_task_phys":    t.initPID.task,
		"init_pid_ns":       t.symbol(t.idr.ns),
		"init_pid_ns_phys":  t.idr.ns,
		"init_user_ns":      t.symbol(t.idr.user),
		"hz":                250,
		"ncpus":             uint64(t.cfg.cpus),

		"crash_kernel_loaded":        t.crash.loaded,
		"crash_kexec_post_notifiers": t.crash.postNotifiers,
	}
	maps.Copy(values, t.cfg.values)
	return values
}

// SetCrashKernel changes what the manifest says of kdump, as the module does.
func (t *Target) SetCrashKernel(loaded, postNotifiers bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	word := map[bool]uint64{true: 1}
	t.crash.loaded, t.crash.postNotifiers = word[loaded], word[postNotifiers]
	manifest := t.manifest()
	copy(t.at(t.area[uapi.KindManifest], len(manifest)), manifest)
}
