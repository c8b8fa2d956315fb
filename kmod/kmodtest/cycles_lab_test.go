// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"fmt"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

var cycles = lab.Count(40, 100)

// TestLoadUnload: many times loaded and unloaded, the kernel's caches and
// its vmalloc area hold what they held before (DECISIONS 8). Caches are not
// merged, so that one cannot hide in another's noise. In make test 6.1 alone:
// rdmatest's cycles are 6.12's. One vCPU: each load and
// unload patches the kernel's text for tracepoints, and QEMU 7.2's TCG can keep
// a stale int3 of that in another vCPU, which then traps for ever.
func TestLoadUnload(t *testing.T) {
	t.Parallel() // see ownMachine
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		vm := ownMachine(t, lab.Config{Kernel: kernel, VCPUs: 1, Append: "slab_nomerge"})
		if err := vm.Put(t.Context(), lab.Module(t, vm, "backdoor"), "/tmp/backdoor.ko"); err != nil {
			t.Fatal(err)
		}
		cycle(t, vm, 10) // what is kept for good is allocated by now
		slabs, mapped := slabsOf(t, vm), vmalloc(t, vm)
		cycle(t, vm, cycles)
		for name, after := range slabsOf(t, vm) {
			before := slabs[name]
			// a slab holds many objects and is counted whole: allow four
			if grown := after.active - before.active; grown >= cycles && grown > 4*after.perSlab {
				t.Errorf("cache %s: %d objects before, %d after %d cycles", name, before.active, after.active, cycles)
			}
		}
		if after := vmalloc(t, vm); after > mapped+16*4096 {
			t.Errorf("vmalloc: %d bytes before, %d after", mapped, after)
		}
	})
}

func cycle(t *testing.T, vm *lab.VM, n int) {
	t.Helper()
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do
		insmod /tmp/backdoor.ko allow_repair=1 || exit 1
		rmmod backdoor || exit 2
		i=$((i+1)); done`, n)
	if _, err := vm.Must(t.Context(), "/bin/busybox", "sh", "-c", script); err != nil {
		t.Fatal(err)
	}
}

type slab struct{ active, perSlab int }

// slabsOf reads /proc/slabinfo after everything that may be freed was.
func slabsOf(t *testing.T, vm *lab.VM) map[string]slab {
	t.Helper()
	// One pass only takes the "referenced" mark from a dentry (dentry_lru_isolate).
	for range 3 {
		if err := vm.Sysctl(t.Context(), "vm.drop_caches", "3"); err != nil {
			t.Fatal(err)
		}
	}
	b, err := vm.ReadFile(t.Context(), "/proc/slabinfo")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]slab{}
	for line := range strings.Lines(string(b)) {
		var name string
		var s slab
		var total, size int
		if n, _ := fmt.Sscan(line, &name, &s.active, &total, &size, &s.perSlab); n == 5 {
			all[name] = s
		}
	}
	if len(all) < 50 {
		t.Fatalf("/proc/slabinfo has %d caches", len(all))
	}
	return all
}

// vmalloc sums the sizes of /proc/vmallocinfo.
func vmalloc(t *testing.T, vm *lab.VM) (sum int) {
	t.Helper()
	b, err := vm.ReadFile(t.Context(), "/proc/vmallocinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var area string
		var size int
		if n, _ := fmt.Sscan(line, &area, &size); n == 2 {
			sum += size
		}
		if strings.Contains(line, "bd_") {
			t.Errorf("left behind: %s", line)
		}
	}
	if sum == 0 {
		t.Fatal("/proc/vmallocinfo is empty")
	}
	return sum
}
