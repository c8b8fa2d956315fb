// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
	"unsafe"

	"lazystate/bench/result"
	"lazystate/dsm/client"
	"lazystate/dsm/pager"
)

// figures are by the names that operations has, in microseconds: the medians of one
// run. Sum is of what was read.
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
	scan      = "PAGEMAP_SCAN of 8 MiB"
	sum       = "sum"
)

// operations are in the figure's order.
var operations = []string{readMiss, inOrder, upgrade, release, barrier, cached, contended, scan}

const (
	pages     = 2048
	stride    = 389 // no page follows another
	times     = 1000
	manyTimes = 20000
)

// exercise is the program. Node 1 has written all pages, so that node 0 has none. Half of
// them it reads here and there, the others in order. bench/argo/cpp/micro.cpp does the
// same.
func exercise(n *client.Node) error {
	words := n.PageSize() / 8
	mem := client.Slice[uint64](n, pages*words)
	lock := n.Locks(2)
	got := figures{}
	var read uint64
	if n.ID() == 1 {
		for p := range pages {
			mem[p*words] = uint64(p)
		}
	}
	n.Barrier()
	if n.ID() == 0 {
		got[readMiss] = each(pages/2, func(i int) { read += mem[i*stride%(pages/2)*words] })
		got[inOrder] = mean(pages/2, func(i int) { read += mem[(pages/2+i)*words] })
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
	// The token stays for many in a row: a median would not see it come.
	got[contended] = mean(times, func(int) { n.Lock(lock + 1); mem[0]++; n.Unlock(lock + 1) })
	n.Barrier()
	if n.ID() > 0 {
		return nil
	}
	if mem[0] != 1+2*times {
		return fmt.Errorf("%d increments, not %d", mem[0], 1+2*times)
	}
	got[sum] = float64(read)
	if slices.Contains(os.Args[1:], pager.Async.String()) {
		if err := got.scan(mem); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(got)
}

// scan measures what finds the writes of an interval in which there were none. It is the
// last thing, for what it finds is lost to the node.
func (f figures) scan(mem []uint64) error {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	start := uint64(uintptr(unsafe.Pointer(&mem[0])))
	f[scan] = each(times, func(int) {
		_, e := pager.Scan(int(pagemap.Fd()), start, start+uint64(8*len(mem)))
		err = errors.Join(err, e)
	})
	return errors.Join(err, pagemap.Close())
}

// check wants all of some operations, and that every page was read.
func (f figures) check(of []string) error {
	for _, name := range append(of, sum) {
		if f[name] <= 0 {
			return fmt.Errorf("%s is %v", name, f[name])
		}
	}
	if want := float64(pages * (pages - 1) / 2); f[sum] != want {
		return fmt.Errorf("what was read adds up to %v, not %v", f[sum], want)
	}
	return nil
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
