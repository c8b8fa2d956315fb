// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"fmt"
	"testing"
	"time"

	"lazystate/tools/lab"
)

// patience is for what fills a machine's memory.
const patience = 3 * time.Minute

// TestMemoryPressure takes a machine's memory away in three steps: pages that
// no reclaim can take, more than fits without swap, more than fits at all.
func TestMemoryPressure(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		program := guestProgram(t, k.vm, "drive")
		k.wired(t, program)
		k.thrash(t, program)
		k.outOfMemory(t, program)
	})
}

func (k *loaded) wired(t *testing.T, program string) {
	t.Helper()
	const locked = 48 << 20 / 4096
	before := k.fetch(t).named(t, "WIRED_PAGES").Value
	end := k.drive(t, program, lab.Proc{}, "wire", 48)
	k.eventually(t, "48 MiB more are wired, and it is what /proc/meminfo adds up to", func(v *view) bool {
		sum := uint64(0)
		for _, key := range []string{"Unevictable", "SUnreclaim", "PageTables", "KernelStack"} {
			sum += meminfo(t, k.vm, key) / 4
		}
		n := v.named(t, "WIRED_PAGES").Value
		return near(n, before+locked, 1024) && near(n, sum, 512)
	})
	end()
	k.eventually(t, "they are wired no more", func(v *view) bool { return near(v.named(t, "WIRED_PAGES").Value, before, 1024) })
}

// thrash: pages go out and come back. A rate is of at least half a second, so
// it can never say more than twice what the kernel counted in all. Several
// touch memory, for MEM_STALL is of the instant: one alone waits too rarely to
// be seen waiting where the disk is fast. Most of the memory is wired before, so
// that the rest is soon full.
func (k *loaded) thrash(t *testing.T, program string) {
	t.Helper()
	out, in := k.stat(t, "/proc/vmstat", "pswpout"), k.stat(t, "/proc/vmstat", "pswpin")
	most, wired := meminfo(t, k.vm, "MemAvailable")/4*3, k.fetch(t).named(t, "WIRED_PAGES").Value
	ends := []func(){k.drive(t, program, lab.Proc{}, "wire", most>>10)}
	k.within(t, patience, "most of the memory is wired", func(v *view) bool { return v.named(t, "WIRED_PAGES").Value > wired+most/5 })
	fits := (meminfo(t, k.vm, "MemAvailable") + meminfo(t, k.vm, "SwapFree")/4) >> 10
	const touchers = 6
	for range touchers {
		ends = append(ends, k.drive(t, program, lab.Proc{OOMAdj: 1000}, "touch", fits/touchers))
	}
	seen := map[string]uint64{}
	t.Cleanup(func() { t.Logf("seen while %d touched %d MiB: %v", touchers, fits, seen) })
	k.within(t, patience, "swapping in both directions, and somebody who waits for memory", func(v *view) bool {
		for _, name := range []string{"SWAPOUT_RATE", "SWAPIN_RATE", "MEM_STALL"} {
			seen[name] = max(seen[name], v.named(t, name).Value)
		}
		return seen["SWAPOUT_RATE"] > 0 && seen["SWAPIN_RATE"] > 0 && seen["MEM_STALL"] > 0
	})
	for _, end := range ends {
		end()
	}
	out, in = k.stat(t, "/proc/vmstat", "pswpout")-out, k.stat(t, "/proc/vmstat", "pswpin")-in
	if seen["SWAPOUT_RATE"] > 2*out || seen["SWAPIN_RATE"] > 2*in {
		t.Errorf("rates up to %v pages/s, of %d pages that went out and %d that came in", seen, out, in)
	}
	if total := k.stalledFor(t); seen["MEM_STALL"] > 8 || total == 0 {
		t.Errorf("%d threads waited for memory, /proc/pressure/memory says %v in all", seen["MEM_STALL"], total)
	}
	k.eventually(t, "no swapping, nobody waits", func(v *view) bool {
		return v.named(t, "SWAPOUT_RATE").Value == 0 && v.named(t, "SWAPIN_RATE").Value == 0 && v.named(t, "MEM_STALL").Value == 0
	})
}

// stalledFor is the total of "some" in /proc/pressure/memory.
func (k *loaded) stalledFor(t *testing.T) time.Duration {
	t.Helper()
	var x float64
	var us int64
	text := k.guestFile(t, "/proc/pressure/memory")
	if _, err := fmt.Sscanf(text, "some avg10=%f avg60=%f avg300=%f total=%d", &x, &x, &x, &us); err != nil {
		t.Fatalf("/proc/pressure/memory %q: %v", text, err)
	}
	return time.Duration(us) * time.Microsecond
}

// outOfMemory: each kill is counted once; attempts are at least as many. What is
// wired is not swapped out first, which would take longest.
func (k *loaded) outOfMemory(t *testing.T, program string) {
	t.Helper()
	kills := k.stat(t, "/proc/vmstat", "oom_kill")
	before := k.fetch(t)
	most := meminfo(t, k.vm, "MemTotal") >> 10
	p := lab.Proc{Argv: []string{program, "wire", fmt.Sprint(most)}, OOMAdj: 1000}
	if r, err := k.vm.RunProc(t.Context(), p, nil); err != nil || r.Exit != 128+9 {
		t.Fatalf("more than all memory: exit %d, %v", r.Exit, err)
	}
	v := k.fetch(t)
	grown := func(name string) uint64 { return v.named(t, name).Value - before.named(t, name).Value }
	if kills = k.stat(t, "/proc/vmstat", "oom_kill") - kills; kills < 1 || grown("OOM_KILLS") != kills || grown("OOM_KILLER_RUNNING") < kills {
		t.Errorf("OOM_KILLS %d, OOM_KILLER_RUNNING %d, oom_kill of /proc/vmstat %d", grown("OOM_KILLS"), grown("OOM_KILLER_RUNNING"), kills)
	}
}

// TestFilesFull: root may open files beyond the limit; the sensor counts each
// look at a full table, and stops when it is full no more.
func TestFilesFull(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		program := guestProgram(t, k.vm, "drive")
		const limit = "/proc/sys/fs/file-max"
		was := k.guestFile(t, limit)
		set := func(value string) {
			if err := k.vm.WriteFile(t.Context(), limit, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
		if n := k.fetch(t).named(t, "FILES_FULL").Value; n != 0 {
			t.Errorf("FILES_FULL is %d at first", n)
		}
		before := k.fetch(t).named(t, "FILES_OPEN").Value
		set(fmt.Sprint(before + 500))
		end := k.drive(t, program, lab.Proc{}, "files", 1000)
		k.eventually(t, "more open files than there may be, seen full twice", func(v *view) bool {
			open := k.filesOpen(t)
			return open > before+500 && near(v.named(t, "FILES_OPEN").Value, open, 50) && v.named(t, "FILES_FULL").Value >= 2
		})
		set(was)
		end()
		k.eventually(t, "the files are closed", func(v *view) bool {
			open := k.filesOpen(t)
			return open < before+500 && near(v.named(t, "FILES_OPEN").Value, open, 50)
		})
		full := k.fetch(t).named(t, "FILES_FULL").Value
		time.Sleep(1200 * time.Millisecond) // it looks once a second
		if n := k.fetch(t).named(t, "FILES_FULL").Value; n != full {
			t.Errorf("FILES_FULL went from %d to %d while there was room", full, n)
		}
	})
}

// filesOpen is the kernel's own count: what earlier tests had open may still be
// closing, so none that was taken before can be relied on.
func (k *loaded) filesOpen(t *testing.T) (n uint64) {
	t.Helper()
	if _, err := fmt.Sscan(k.guestFile(t, "/proc/sys/fs/file-nr"), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
