// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// builtin are the sensors that both kernels must have; a kernel that misses
// one names it in the manifest, and that fails here.
var builtin = strings.Fields(`TICKS.0 TICKS.1 CTXSW.0 CTXSW.1 CTXSW INTERRUPTS DEV_INTERRUPTS KTHREAD
	NPROCS MAXPROCRATE_PERUID NTHREADS ZOMBIES RUNQUEUE LOADAVG CENSUS_COST
	FREE_PAGES AVAIL_PAGES WIRED_PAGES SWAP_FREE SWAPIN_RATE SWAPOUT_RATE MEM_STALL
	OOM_KILLER_RUNNING OOM_KILLS FILES_OPEN FILES_FULL`)

// TestBox only looks.
func TestBox(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		load(t, kernel).each(t, []step{
			{"sensors", (*loaded).hasEverySensor}, {"header", (*loaded).headerOffsets}, {"QEMU", (*loaded).matchesQEMU},
			{"clocks", (*loaded).clocksRun}, {"forks", (*loaded).countsForks}, {"memory", (*loaded).memorySensors},
			{"bit fields", (*loaded).bitFields}, {"device", (*loaded).deviceRegion}, {"jiffies", (*loaded).jiffiesRun},
		})
	})
}

func (k *loaded) hasEverySensor(t *testing.T) {
	v := k.fetch(t)
	if len(v.Defects) > 0 {
		t.Errorf("defects: %v", v.Defects)
	}
	for _, name := range builtin {
		if v.find(name) == nil {
			t.Errorf("no sensor %s", name)
		}
	}
}

// matchesQEMU compares what the I-NIC reads of a stopped machine with
// what QEMU saves of the same guest physical pages.
func (k *loaded) matchesQEMU(t *testing.T) {
	if err := k.vm.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer k.vm.Cont(t.Context())
	for _, kind := range []uint32{uapi.KindSensorbox, uapi.KindUIDs, uapi.KindManifest} {
		r, ours := k.region(t, kind)
		theirs, err := k.vm.PMemSave(t.Context(), r.GPA, r.Len)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours, theirs) {
			t.Errorf("region %s: the I-NIC and QEMU disagree", r.Name)
		}
	}
}

// clocksRun: every clock-driven sensor moves, and stands still when the
// machine is stopped.
func (k *loaded) clocksRun(t *testing.T) {
	before := k.fetch(t)
	names := []string{"TICKS.0", "TICKS.1", "KTHREAD", "INTERRUPTS", "CTXSW"}
	k.eventually(t, "all clocks advance", func(v *view) bool {
		for _, n := range names {
			if v.named(t, n).Value == before.named(t, n).Value {
				return false
			}
		}
		return v.Header.MonoNs > before.Header.MonoNs
	})
	if err := k.vm.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer k.vm.Cont(t.Context())
	stopped := k.fetch(t)
	time.Sleep(300 * time.Millisecond)
	for _, n := range names {
		if a, b := stopped.named(t, n).Value, k.fetch(t).named(t, n).Value; a != b {
			t.Errorf("%s went from %d to %d in a stopped machine", n, a, b)
		}
	}
}

// jiffiesRun: the manifest's address of jiffies, read as any other kernel address,
// counts at the manifest's rate by the target's own clock.
func (k *loaded) jiffiesRun(t *testing.T) {
	at, ok := k.target.Manifest().Value("jiffies")
	hz, _ := k.target.Manifest().Value("hz")
	if !ok || hz == 0 {
		t.Fatalf("the manifest has jiffies at %#x, hz %d", at, hz)
	}
	read := func() (jiffies, ns uint64) {
		if err := k.vm.Stop(t.Context()); err != nil { // or the clock runs between two reads
			t.Fatal(err)
		}
		defer k.vm.Cont(t.Context())
		var b [8]byte
		if err := k.target.ReadVA(t.Context(), []backdoor.VARead{{VA: at, Buf: b[:]}}); err != nil {
			t.Fatal(err)
		}
		return binary.LittleEndian.Uint64(b[:]), k.fetch(t).Header.MonoNs
	}
	j0, ns0 := read()
	var j1, ns1 uint64
	for ns1 < ns0+uint64(3*time.Second) {
		time.Sleep(500 * time.Millisecond)
		j1, ns1 = read()
	}
	want := float64(ns1-ns0) * float64(hz) / 1e9
	if got := float64(j1 - j0); got < 0.8*want || got > 1.2*want {
		t.Errorf("%v jiffies in %v of the target's time at %d Hz", got, time.Duration(ns1-ns0), hz)
	}
}

// TestCensus compares counts and the table of users with the guest's own ps.
func TestCensus(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "limits=NPROCS:20")
		before := k.fetch(t).named(t, "NPROCS").Value
		var pids []int
		for range 30 {
			pid, err := k.vm.Start(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "sleep", "600"}, UID: 4242})
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		v := k.eventually(t, "30 more processes", func(v *view) bool {
			return v.named(t, "NPROCS").Value >= before+30
		})
		if s := v.named(t, "NPROCS"); s.Limit != 20 || s.Value != userProcesses(t, k.vm) {
			t.Errorf("NPROCS: L %d, V %d; the guest's ps says %d", s.Limit, s.Value, userProcesses(t, k.vm))
		}
		k.eventually(t, "the table of users", func(*view) bool {
			u, ok := k.uid(t, 4242)
			return ok && u.Procs == 30 && u.Tasks == 30 && u.Footprint > 0
		})
		for _, pid := range pids {
			if err := k.vm.Kill(t.Context(), pid, 9); err != nil {
				t.Error(err)
			}
			k.vm.Wait(t.Context(), pid)
		}
		k.eventually(t, "they are gone", func(v *view) bool { return v.named(t, "NPROCS").Value == before })
	})
}

// userProcesses counts what is no kernel thread and no zombie.
func userProcesses(t *testing.T, vm *lab.VM) uint64 {
	t.Helper()
	all, err := vm.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	for _, p := range all {
		if p.PID != 2 && p.PPID != 2 && p.State != "Z" {
			n++
		}
	}
	return n
}

// uid reads one user's row of a table that is not being written.
func (k *loaded) uid(t *testing.T, uid uint32) (uapi.UID, bool) {
	t.Helper()
	for range 100 {
		_, b := k.region(t, uapi.KindUIDs)
		var u uapi.UIDs
		if err := u.Decode(b); err != nil {
			t.Fatal(err)
		}
		if u.Seq%2 != 0 {
			continue
		}
		for i := range min(int(u.Count), len(u.UID)) {
			if u.UID[i].UID == uid {
				return u.UID[i], true
			}
		}
		return uapi.UID{}, false
	}
	t.Fatal("the table of users is always being written")
	return uapi.UID{}, false
}

// countsForks: processes shorter than a census are counted all the same.
func (k *loaded) countsForks(t *testing.T) {
	script := "i=0; while [ $i -lt 400 ]; do (:) ; i=$((i+1)); done"
	_, err := k.vm.RunProc(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "sh", "-c", script}, UID: 777}, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.eventually(t, "400 forks of uid 777", func(*view) bool {
		u, ok := k.uid(t, 777)
		return ok && u.Forks >= 400 && u.Forks <= 402 && u.Procs == 0
	})
}

// memorySensors compares with /proc/meminfo and /proc/sys/fs/file-nr.
func (k *loaded) memorySensors(t *testing.T) {
	k.eventually(t, "free pages within 4 MiB of MemFree, swap equal to SwapFree", func(v *view) bool {
		free, swap := meminfo(t, k.vm, "MemFree"), meminfo(t, k.vm, "SwapFree")
		return near(v.named(t, "FREE_PAGES").Value, free/4, 1024) && v.named(t, "SWAP_FREE").Value == swap/4
	})
	k.eventually(t, "open files within 8 of fs.file-nr", func(v *view) bool {
		var used uint64
		b, err := k.vm.ReadFile(t.Context(), "/proc/sys/fs/file-nr")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(string(b), &used)
		return near(v.named(t, "FILES_OPEN").Value, used, 8)
	})
}

func near(a, b, by uint64) bool { return a <= b+by && b <= a+by }

func meminfo(t *testing.T, vm *lab.VM, key string) (kib uint64) {
	t.Helper()
	b, err := vm.ReadFile(t.Context(), "/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), key+":")
	if !ok {
		t.Fatalf("no %s in /proc/meminfo", key)
	}
	fmt.Sscan(rest, &kib)
	return kib
}

// TestLimits: an operator's contract, at load and later; a typo is refused.
func TestLimits(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "limits=TICKS:120000,FREE_PAGES:7")
		v := k.fetch(t)
		got := []uint64{v.named(t, "TICKS.0").Limit, v.named(t, "TICKS.1").Limit, v.named(t, "FREE_PAGES").Limit}
		if diff := cmp.Diff([]uint64{120000, 120000, 7}, got); diff != "" {
			t.Error(diff)
		}
		param := "/sys/module/backdoor/parameters/limits"
		if err := k.vm.WriteFile(t.Context(), param, []byte("NPROCS:9\n"), 0); err != nil {
			t.Fatal(err)
		}
		if l := k.fetch(t).named(t, "NPROCS").Limit; l != 9 {
			t.Errorf("L of NPROCS is %d after 9 was written", l)
		}
		for _, bad := range []string{"NPROC:9", "NPROCS", "NPROCS:many", ":3", "NPROCS:8,BOGUS:2"} {
			if err := k.vm.WriteFile(t.Context(), param, []byte(bad), 0); err == nil {
				t.Errorf("limits=%s was taken", bad)
			}
		}
		if l := k.fetch(t).named(t, "NPROCS").Limit; l != 9 {
			t.Errorf("L of NPROCS is %d after lists that were refused", l)
		}
	})
}

// headerOffsets: the raw words where uapi says they are.
func (k *loaded) headerOffsets(t *testing.T) {
	_, b := k.region(t, uapi.KindSensorbox)
	if m := binary.LittleEndian.Uint64(b); m != uapi.SboxMagic {
		t.Errorf("magic %#x", m)
	}
	if len(b) != uapi.SboxPages*4096 {
		t.Errorf("the box has %d bytes", len(b))
	}
}
