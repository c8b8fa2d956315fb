// SPDX-License-Identifier: Apache-2.0

package backdoor

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"lazystate/backdoor/uapi"
)

func FuzzDecodeRoot(f *testing.F) {
	r := uapi.Root{Magic: uapi.RootMagic, Major: 1, Size: uapi.RootSize, Generation: 1, TableAddr: 1 << 63, TableLen: uapi.TableSize}
	f.Add(r.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRoot(b)
		if err == nil && (r.Generation == 0 || r.TableLen > maxTable || overflows(r.TableAddr, uint64(r.TableLen))) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func FuzzDecodeTable(f *testing.F) {
	table := uapi.Table{Magic: uapi.TableMagic, Count: 2, EntrySize: uapi.RegionSize, Generation: 3}
	for i := range 2 {
		e := &table.Regions[i]
		uapi.PutCString(e.Name[:], "r")
		e.Kind, e.Perm, e.Addr, e.Len, e.Generation = uapi.KindPanic, 1, 4096, 4096, 3
	}
	f.Add(table.Encode())
	f.Add(table.Encode()[:200])
	f.Fuzz(func(t *testing.T, b []byte) {
		regions, _, boot, err := DecodeTable(b)
		if err != nil {
			return
		}
		for _, r := range regions {
			end := r.Addr + (r.Len - 1)
			if r.Len == 0 || end < r.Addr || r.Kind == 0 || r.Perm > 7 || r.BootID != boot || !printable(r.Name) {
				t.Errorf("accepted %+v", r)
			}
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(manifestOf(entry(uapi.TagValue, "hz", 8, 250)), true)
	f.Add(manifestOf(entry(uapi.TagOffset, "task_struct.pid", 8, 4<<32|2416)), true)
	f.Add(manifestOf(entry(uapi.TagString, "kernel_release", 8, 0x312e36)), true)
	f.Add(manifestOf(entry(77, "future", 64, 1)), true)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) >= uapi.ManifestSize { // let the fuzzer past the checksum
			n := uint64(binary.LittleEndian.Uint32(b[uapi.ManifestLenOff:]))
			if body := b[uapi.ManifestSize:]; n <= uint64(len(body)) {
				binary.LittleEndian.PutUint32(b[uapi.ManifestCRC32Off:], crc32.ChecksumIEEE(body[:n]))
			}
		}
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		s, v, o := m.Names()
		if len(s)+len(v)+len(o) > len(b)/uapi.EntryHeadSize {
			t.Errorf("%d entries in %d bytes", len(s)+len(v)+len(o), len(b))
		}
	})
}

func FuzzDecodeLockAck(f *testing.F) {
	a := uapi.LockAck{Magic: uapi.LockMagic, State: uapi.LockHeld, Holder: 2, NCPUs: 3}
	f.Add(a.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeLockAck(b)
		if err == nil && (len(v.CPUs) > uapi.MaxCPUs || v.State > uapi.LockFenced || v.State != uapi.LockFree && v.Holder >= uapi.Monitors) {
			t.Errorf("accepted %+v", v)
		}
	})
}

// fuzzLayout has the members in an order and with gaps of its own.
func fuzzManifest() *Manifest {
	m := &Manifest{values: map[string]uint64{"init_task": 1 << 63, "init_pid_ns": 1 << 63}, members: map[string]Member{
		"upid.nr": {0, 4}, "pid_namespace.idr": {16, 24}, "idr.idr_rt": {0, 16}, "xarray.xa_head": {8, 8},
		"task_struct.pid_links": {64, 64}, "pid.tasks": {16, 32}, "pid.numbers": {96, 0}, "pid.level": {4, 4},
		"xa_node.shift": {0, 1}, "xa_node.slots": {40, 512}, "cred.uid": {4, 4}, "cred.euid": {20, 4},
		"mm_struct.rss_stat": {8, 160}, "mm_struct.pgtables_bytes": {0, 8}, "percpu_counter.count": {8, 8},
		"signal_struct.live": {4, 4}, "signal_struct.nr_threads": {8, 4},
	}}
	for i, n := range []string{"__state", "flags", "pid", "tgid", "exit_state"} {
		m.members["task_struct."+n] = Member{uint32(4 * i), 4}
	}
	for i, n := range []string{"real_parent", "mm", "start_time", "utime", "stime", "signal", "real_cred"} {
		m.members["task_struct."+n] = Member{uint32(128 + 8*i), 8}
	}
	m.members["task_struct.tasks"], m.members["task_struct.comm"] = Member{200, 16}, Member{216, 16}
	return m
}

func fuzzLayout(f *testing.F) *taskLayout {
	f.Helper()
	y, err := newTaskLayout(fuzzManifest())
	if err != nil {
		f.Fatal(err)
	}
	return y
}

func FuzzDecodeTask(f *testing.F) {
	y := fuzzLayout(f)
	f.Add(bytes.Repeat([]byte{1}, int(y.task.size)), bytes.Repeat([]byte{0xff}, int(y.mm.size)), int32(1), true)
	f.Fuzz(func(t *testing.T, task, mm []byte, index int32, leader bool) {
		if uint64(len(task)) < y.task.size || uint64(len(mm)) < y.mm.size {
			return
		}
		fd := &found{index: index, leader: leader, record: task[:y.task.size]}
		if !y.plausible(fd) {
			return
		}
		got := y.decodeTask(fd)
		y.decodeMM(&got, mm[:y.mm.size])
		if got.PID <= 0 || len(got.Comm) > 16 || got.Anon > 1<<63 {
			t.Errorf("accepted %+v", got)
		}
	})
}

func FuzzDecodeXANode(f *testing.F) {
	y := fuzzLayout(f)
	f.Add(bytes.Repeat([]byte{0}, int(y.node.size)), int64(0), -1)
	f.Fuzz(func(t *testing.T, b []byte, index int64, shift int) {
		if uint64(len(b)) < y.node.size || index < 0 || index > 1<<maxShift || shift < -1 || shift > maxShift {
			return
		}
		entries, _ := y.decodeNode(b[:y.node.size], xaEntry{2, index, shift})
		for _, e := range entries {
			if e.value == 0 || e.index < index || e.shift >= maxShift || shift >= 0 && e.shift >= shift {
				t.Errorf("%+v in a node of shift %d at %d", e, shift, index)
			}
		}
	})
}

func FuzzDecodePID(f *testing.F) {
	y := fuzzLayout(f)
	f.Add(bytes.Repeat([]byte{0}, int(y.pid.size)), int32(0))
	f.Fuzz(func(t *testing.T, b []byte, index int32) {
		if uint64(len(b)) < y.pid.size {
			return
		}
		if fd, ok := y.decodePID(b[:y.pid.size], index); fd != nil && (!ok || fd.index != index || fd.nsLevel >= upidLevels) {
			t.Errorf("accepted %+v", fd)
		}
	})
}

func FuzzDecodeForeign(f *testing.F) {
	w := uapi.Foreign{Addr: 1 << 63, Size: 8, Flags: ForeignPerCPU}
	uapi.PutCString(w.Name[:], "nr_files")
	f.Add(w.Encode())
	f.Add(append(w.Encode(), make([]byte, uapi.ForeignSize-1)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := decodeForeign(b)
		if len(got) > len(b)/uapi.ForeignSize {
			t.Errorf("%d words in %d bytes", len(got), len(b))
		}
		for _, w := range got {
			if !printable(w.Name) || w.Size == 0 || w.Size > pageSize {
				t.Errorf("accepted %+v", w)
			}
		}
	})
}

// entry makes a manifest entry with a payload of size bytes that begins with v.
func entry(tag uint32, name string, size int, v uint64) []byte {
	h := uapi.EntryHead{Tag: tag, Size: uint32(uapi.EntryHeadSize + size)}
	uapi.PutCString(h.Name[:], name)
	payload := make([]byte, size)
	binary.LittleEndian.PutUint64(payload, v)
	return append(h.Encode(), payload...)
}

func manifestOf(entries ...[]byte) []byte {
	body := bytes.Join(entries, nil)
	h := uapi.Manifest{Magic: uapi.ManifestMagic, Len: uint32(len(body)), Count: uint32(len(entries)), CRC32: crc32.ChecksumIEEE(body)}
	return append(h.Encode(), body...)
}

func FuzzDecodePanic(f *testing.F) {
	p := uapi.Panic{Magic: uapi.PanicMagic, Cause: uapi.PanicOops, CPU: 1, MonoNs: 5e9}
	uapi.PutCString(p.Text[:], "Fatal exception in interrupt")
	f.Add(p.Encode())
	p.MonoNs = ^uint64(0)
	f.Add(p.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p := DecodePanic(b)
		if p != nil && (p.Cause == uapi.PanicNone || p.At < 0 || len(p.Text) > len(uapi.Panic{}.Text)) {
			t.Errorf("%#v: %s", p, p)
		}
	})
}

// A walk ends after as many entries as there are levels, in a frame that the
// entry names, whatever it says.
func FuzzDecodePageTableEntry(f *testing.F) {
	f.Add(uint64(1<<63|0x1234_5067), uint64(0xffff_ffff_a000_1abc))
	f.Add(uint64(0x8000_00e3), uint64(0xffff_c900_0020_0123))
	f.Fuzz(func(t *testing.T, entry, va uint64) {
		p := frames{}
		w := &walk{va: va}
		for level := 4; level > 0 && !w.done; level-- {
			shift := 12 + 9*(level-1)
			p.step(w, entry, level, shift)
			if pa, ok := p.lookup(va); ok && (pa&^physMask&^0xfff != 0 || pa&0xfff != va&0xfff) {
				t.Errorf("level %d: entry %#x: %#x for %#x", level, entry, pa, va)
			}
			if w.table&^physMask != 0 {
				t.Errorf("table at %#x", w.table)
			}
		}
		if !w.done {
			t.Errorf("entry %#x: no end", entry)
		}
	})
}

// An answer counts if it carries the batch's number, and only Done and Deferred
// are no error: a target cannot make a success of anything else.
func FuzzDecodeKillResults(f *testing.F) {
	done := uapi.KillResult{SeqLo: 7, Result: uapi.ResDone}
	stale := uapi.KillResult{SeqLo: 6, Result: uapi.ResDone}
	f.Add(append(done.Encode(), stale.Encode()...), uint32(7))
	f.Add(done.Encode()[:uapi.KillResultSize-1], uint32(7))
	f.Fuzz(func(t *testing.T, b []byte, seq uint32) {
		results := make([]KillResult, 2)
		all, err := decodeKills(b, seq, results)
		if err == nil != (len(b) >= len(results)*uapi.KillResultSize) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		for i, r := range results {
			if all && r.Result == uapi.ResNone {
				t.Errorf("all answered, and %d is not", i)
			}
			if r.Result == uapi.ResNone {
				continue
			}
			if got := binary.LittleEndian.Uint32(b[i*uapi.KillResultSize+uapi.KillResultSeqLoOff:]); got != seq {
				t.Errorf("took an answer to %d for one to %d", got, seq)
			}
			if good := r.Result == uapi.ResDone || r.Result == uapi.ResDeferred; good != (r.Err() == nil) {
				t.Errorf("result %d: %v", r.Result, r.Err())
			}
		}
	})
}

// Torn copies and answers to other requests leave the result alone.
func FuzzDecodeKnobResult(f *testing.F) {
	r := uapi.KnobResult{SeqLo: 7, Result: uapi.ResError, Value: -1 << 63}
	f.Add(r.Encode(), r.Encode(), uint32(7))
	r.Result = uapi.ResQueued
	f.Add(r.Encode(), r.Encode(), uint32(7))
	f.Add(r.Encode(), r.Encode()[1:], uint32(7))
	f.Fuzz(func(t *testing.T, a, b []byte, seq uint32) {
		var res uapi.KnobResult
		done, err := decodeKnob(a, b, seq, &res)
		took := res != uapi.KnobResult{}
		if took && (err != nil || !bytes.Equal(a, b) || res.SeqLo != seq) || done && !took {
			t.Errorf("done %v, %v: took %+v", done, err, res)
		}
		if done != (took && res.Result != uapi.ResQueued) {
			t.Errorf("done %v with %+v", done, res)
		}
	})
}

func FuzzDecodeBoxes(f *testing.F) {
	h := uapi.Boxes{Magic: uapi.BoxesMagic, EntrySize: uapi.BoxSize, Capacity: 2, Slots: 4, MapOff: uapi.BoxesSize + 2*uapi.BoxSize}
	e := uapi.Box{State: uapi.BoxBound, Generation: 1, Pages: 2, Sock: 8}
	b := append(h.Encode(), append(e.Encode(), make([]byte, uapi.BoxSize+4*8)...)...)
	f.Add(b)
	f.Add(b[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		boxes, err := decodeBoxes(b, BootID{})
		if err != nil {
			return
		}
		pages := 0
		for i := range boxes {
			x := &boxes[i]
			pages += len(x.Pages)
			if x.Err == nil && (len(x.Pages) == 0 || x.State == uapi.BoxBound && (x.Sock == 0 || !x.Local.IsValid() || !x.Remote.IsValid())) {
				t.Errorf("accepted %+v", x)
			}
		}
		if 8*pages > len(b) {
			t.Errorf("%d pages out of %d bytes", pages, len(b))
		}
	})
}
