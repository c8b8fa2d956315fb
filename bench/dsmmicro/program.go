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
	inOrder   = "read, in order"
	upgrade   = "write upgrade"
	release   = "release of 2,048 pages"
	barrier   = "barrier"
	cached    = "lock, cached"
	contended = "lock, contended"
)

const (
	pages     = 2048
	stride    = 389 // no page follows another
	times     = 1000
	manyTimes = 20000
)

// exercise is the program. Node 1 has written all pages, so that node 0 has none. Half of
// them it reads here and there, the others in order.
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
		got[readMiss] = each(pages/2, func(i int) { sum += mem[i*stride%(pages/2)*words] })
		got[inOrder] = mean(pages/2, func(i int) { sum += mem[(pages/2+i)*words] })
		got[upgrade] = each(pages, func(p int) { mem[p*words]++ })
		got[release] = each(1, func(int) { n.Barrier() })
	} else {
		n.Barrier()
	}
	got[barrier] = each(times, func(int) { n.Barrier() })
	if n.ID() == 0 {
		n.Lock(lock)
		n.Unlock(lock)
		got[cached] = mean(manyTimes, func(int) { n.Lock(lock); n.Unlock(lock) })
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

// mean is of all calls together: of what costs little but now and then.
func mean(count int, f func(i int)) float64 {
	t := time.Now()
	for i := range count {
		f(i)
	}
	return float64(time.Since(t).Nanoseconds()) / 1e3 / float64(count)
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
