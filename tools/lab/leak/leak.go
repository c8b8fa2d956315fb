// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lazystate/tools/lab"
)

// Append is the command line of a kernel that counts exactly: caches hide in no
// others, and those that are checked give no CPU a slab of its own, which would
// count as full whatever lives in it.
const Append = "slab_nomerge slub_debug=F"

const (
	warmUp   = 10 // times: what is kept for good is allocated by then
	batches  = 3  // in each of which a leak grows
	looks    = 5  // before the first
	patience = 10 // looks more after each: what a busy host delays is freed later, what has leaked is not

	// freed is when RCU has freed what it was given: in batches, up to five
	// seconds late.
	freed = 6 * time.Second
)

// Check has something done n times, again and again, and fails if the kernel
// keeps an object or a page of it for every other time, each time.
func Check(t *testing.T, vm *lab.VM, n int, do func(times int)) {
	t.Helper()
	look := func() Held { t.Helper(); return At(t, vm) }
	for _, l := range leaks(n, do, look, func() { time.Sleep(freed) }) {
		t.Error(l)
	}
}

func leaks(n int, do func(times int), look func() Held, wait func()) (found []string) {
	do(warmUp)
	wait()
	all := []Held{look()}
	for range looks - 1 {
		all[0] = all[0].least(look())
	}
	var suspects []string
	for batch := range batches {
		do(n)
		wait()
		now := look()
		for range patience {
			if len(now.Grown(all[batch], n)) > 0 {
				wait()
				now = now.least(look())
			}
		}
		grown := now.Grown(all[batch], n)
		if batch > 0 {
			grown = both(suspects, grown)
		}
		if suspects = grown; len(suspects) == 0 {
			return nil
		}
		all = append(all, now)
	}
	for _, name := range suspects {
		found = append(found, fmt.Sprintf("%s: %s, each %d times later", name, series(all, name), n))
	}
	return found
}

// Held is what a kernel holds at a moment, by name: objects of a cache, or pages.
type Held map[string]int

// Grown are the names of what grew by half of n or more since before, sorted.
func (h Held) Grown(before Held, n int) []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name, count := range h {
			if 2*(count-before[name]) >= n && !yield(name) {
				return
			}
		}
	})
}

// least takes the lower count of each of two looks: what is on its way to be freed
// is none, nor is what the look itself holds.
func (h Held) least(other Held) Held {
	l := maps.Clone(h)
	for name, count := range other {
		l[name] = min(count, l[name])
	}
	return l
}

func both(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !slices.Contains(b, name) })
}

func series(all []Held, name string) string {
	var s []string
	for _, h := range all {
		s = append(s, fmt.Sprint(h[name]))
	}
	return strings.Join(s, ", ")
}

// At looks when everything that may be freed was.
func At(t *testing.T, vm *lab.VM) Held {
	t.Helper()
	set := func(key, value string) {
		t.Helper()
		if err := vm.Sysctl(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // one pass only takes the "referenced" mark from a dentry (dentry_lru_isolate)
		set("vm.drop_caches", "3")
	}
	// Slabs that are empty are given back.
	if _, err := vm.Must(t.Context(), "/bin/busybox", "sh", "-c", "for f in /sys/kernel/slab/*/shrink; do echo 1 >$f; done"); err != nil {
		t.Fatal(err)
	}
	set("vm.stat_refresh", "1") // counters that are each CPU's own are summed
	zones, slabs := read(t, vm, "/proc/zoneinfo"), read(t, vm, "/proc/slabinfo")
	h, err := held(zones, slabs)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func read(t *testing.T, vm *lab.VM, path string) string {
	t.Helper()
	b, err := vm.ReadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
