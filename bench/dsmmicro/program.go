// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"time"

	"lazystate/bench/result"
	"lazystate/dsm/client"
)

// figures are by the names that operations has, in microseconds: the medians of one
// run.
type figures map[string]float64

// Names of what is measured.
const (
	readMiss  = "read miss"
	upgrade   = "write upgrade"
	release   = "release of 2,048 pages"
	barrier   = "barrier"
	cached    = "lock, cached"
	contended = "lock, contended"
)

const (
	pages     = 2048
	times     = 1000
	manyTimes = 20000
)

// exercise is the program. Node 1 has written all pages, so that node 0 has none.
func exercise(n *client.Node) error {
	words := n.PageSize() / 8
	mem := client.Slice[uint64](n, pages*words)
	lock := n.Locks(2)
	got := figures{}
	var sum uint64
	if n.ID() == 1 {
		for p := range pages {
			mem[p*words] = uint64(p)
		}
	}
	n.Barrier()
	if n.ID() == 0 {
		got[readMiss] = each(pages, func(p int) { sum += mem[p*words] })
		got[upgrade] = each(pages, func(p int) { mem[p*words]++ })
		got[release] = each(1, func(int) { n.Barrier() })
	} else {
		n.Barrier()
	}
	got[barrier] = each(times, func(int) { n.Barrier() })
	if n.ID() == 0 {
		n.Lock(lock)
		n.Unlock(lock)
		got[cached] = each(manyTimes, func(int) { n.Lock(lock); n.Unlock(lock) })
	}
	n.Barrier()
	got[contended] = each(times, func(int) { n.Lock(lock + 1); mem[0]++; n.Unlock(lock + 1) })
	n.Barrier()
	if n.ID() > 0 {
		return nil
	}
	got["sum"] = float64(sum)
	return json.NewEncoder(os.Stdout).Encode(got)
}

// each is the median time of one call, in microseconds.
func each(count int, f func(i int)) float64 {
	took := make([]float64, count)
	for i := range took {
		t := time.Now()
		f(i)
		took[i] = float64(time.Since(t).Nanoseconds()) / 1e3
	}
	return result.Median(took)
}
