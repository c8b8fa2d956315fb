// SPDX-License-Identifier: Apache-2.0

package leak

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kernel is one whose memory is made up.
type kernel struct {
	times int
	held  func(k *kernel) Held
	looks int
}

func (k *kernel) do(times int) { k.times, k.looks = k.times+times, 0 }

func (k *kernel) look() Held { k.looks++; return k.held(k) }

func TestLeaks(t *testing.T) {
	var noise *rand.Rand
	base := Held{Unlisted: 5000, "cache dentry": 900, "cache kmalloc-64": 700}
	with := func(name string, n int) Held {
		h := maps.Clone(base)
		h[name] += n
		return h
	}
	for name, c := range map[string]struct {
		held func(*kernel) Held
		want string
	}{
		"nothing":               {func(*kernel) Held { return base }, ""},
		"a page each time":      {func(k *kernel) Held { return with(Unlisted, k.times) }, Unlisted + ": 5010, 5050, 5090, 5130, each 40 times later"},
		"an object each time":   {func(k *kernel) Held { return with("cache kmalloc-64", k.times) }, "cache kmalloc-64: 710, 750, 790, 830, each 40 times later"},
		"an object under noise": {func(k *kernel) Held { return with("cache kmalloc-64", k.times+64*noise.IntN(2)) }, "cache kmalloc-64: "},
		"noise":                 {func(*kernel) Held { return with("cache dentry", noise.IntN(200)) }, ""},
		"freed later":           {func(k *kernel) Held { return with(Unlisted, max(0, k.times-10*k.looks)) }, ""},
		"kept once":             {func(k *kernel) Held { return with("cache dentry", 300*min(1, k.times/50)) }, ""},
		"a cache that is new":   {func(k *kernel) Held { return with("cache bd", k.times) }, "cache bd: 10, 50, 90, 130, each"},
		"now one, now another": {func(k *kernel) Held {
			return with([]string{"cache dentry", "cache kmalloc-64"}[k.times/40%2], k.times)
		}, ""},
	} {
		noise = rand.New(rand.NewPCG(1, 2))
		k := &kernel{held: c.held}
		found := strings.Join(leaks(40, k.do, k.look, func() {}), "; ")
		if (found == "") != (c.want == "") || !strings.HasPrefix(found, c.want) {
			t.Errorf("%s: found %q, want %q", name, found, c.want)
		}
	}
}

func TestGrown(t *testing.T) {
	before := Held{"a": 10, "b": 10, "c": 10}
	got := Held{"a": 15, "b": 14, "c": 2, "d": 5}.Grown(before, 10)
	if d := cmp.Diff([]string{"a", "d"}, got); d != "" {
		t.Error(d)
	}
}

// zoneinfo is as much of one of a kernel 6.1 as is read, and of what is not.
const zoneinfo = `Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 11
      nr_slab_reclaimable 1000
      nr_slab_unreclaimable 2000
      nr_anon_pages 300
      nr_file_pages 400
      nr_kernel_stack 800
      nr_page_table_pages 50
  pages free     3840
        min      11
        present  3998
        managed  3840
        protection: (0, 451, 451, 451, 451)
      nr_free_pages 3840
  pagesets
    cpu: 0
              count: 0
              high:  12
  node_unreclaimable:  0
Node 0, zone    DMA32
  pages free     100000
        managed  110000
        protection: (0, 0, 0, 0, 0)
      nr_free_pages 100000
  pagesets
    cpu: 0
              count: 70
              high:  378
Node 0, zone  Movable
  pages free     0
        managed  0
`

func slabinfo(caches int) string {
	var b strings.Builder
	b.WriteString("slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n")
	for i := range caches {
		fmt.Fprintf(&b, "cache-%d %6d %6d 64 64 1 : tunables 0 0 0 : slabdata 2 2 0\n", i, 100+i, 128)
	}
	return b.String()
}

func TestHeld(t *testing.T) {
	h, err := held(zoneinfo, slabinfo(60))
	if err != nil {
		t.Fatal(err)
	}
	if want := 113840 - 103840 - 70 - 300 - 400 - 800/4 - 50 - 3000; h[Unlisted] != want || h[slabbed] != 3000 {
		t.Errorf("%d pages in no list and %d of slabs, want %d and 3000", h[Unlisted], h[slabbed], want)
	}
	if h["cache cache-59"] != 159 || len(h) != 62 {
		t.Errorf("%d gauges: %v", len(h), h)
	}
	for name, bad := range map[string][2]string{
		"no zones":   {"", slabinfo(60)},
		"no stacks":  {strings.ReplaceAll(zoneinfo, "nr_kernel_stack", "nr_stacks"), slabinfo(60)},
		"few caches": {zoneinfo, slabinfo(3)},
	} {
		if _, err := held(bad[0], bad[1]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
