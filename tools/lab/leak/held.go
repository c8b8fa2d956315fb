// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"fmt"
	"strings"
)

// Unlisted names a module's own pages, those of vmalloc, and what the kernel took
// at boot.
const Unlisted = "pages that are in no list"

const slabbed = "pages of slabs" // with those of kmalloc that are in no cache

// held reads /proc/zoneinfo and /proc/slabinfo.
func held(zones, slabs string) (Held, error) {
	h, err := pages(zones)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(slabs) {
		var name string
		var active, total, size, perSlab int
		if n, _ := fmt.Sscan(line, &name, &active, &total, &size, &perSlab); n == 5 {
			h["cache "+name] = active
		}
	}
	if len(h) < 50 {
		return nil, fmt.Errorf("/proc/slabinfo has %d caches", len(h)-2)
	}
	return h, nil
}

// pages are those that somebody has but no process, no file and no page table.
func pages(zones string) (Held, error) {
	sum := map[string]int{}
	for line := range strings.Lines(zones) {
		var key string
		var n int
		if k, _ := fmt.Sscan(line, &key, &n); k == 2 {
			sum[key] += n
		}
	}
	// count: what each CPU keeps free for itself, which nr_free_pages leaves out.
	known := []string{"nr_free_pages", "count:", "nr_anon_pages", "nr_file_pages", "nr_page_table_pages", "nr_slab_reclaimable", "nr_slab_unreclaimable"}
	rest := sum["managed"] - sum["nr_kernel_stack"]/4 // the only one in KiB
	for _, key := range append(known, "managed", "nr_kernel_stack") {
		if _, ok := sum[key]; !ok {
			return nil, fmt.Errorf("/proc/zoneinfo has no %s", key)
		}
	}
	for _, key := range known {
		rest -= sum[key]
	}
	return Held{Unlisted: rest, slabbed: sum["nr_slab_reclaimable"] + sum["nr_slab_unreclaimable"]}, nil
}
