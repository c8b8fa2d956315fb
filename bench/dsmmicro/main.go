// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"lazystate/dsm/client"
)

func main() {
	if err := client.Main(measure); err != nil {
		fmt.Fprintln(os.Stderr, "dsmmicro:", err)
		os.Exit(1)
	}
}

const pages = 2048

var sink uint64 // what is read is used

func measure(n *client.Node) error {
	words := n.PageSize() / 8
	mem := client.Slice[uint64](n, pages*words)
	lock := n.Locks(2)
	say := func(what string, d []time.Duration) {
		if n.ID() == 0 {
			slices.Sort(d)
			fmt.Printf("%-28s p50 %8.2f us  min %8.2f  p99 %8.2f\n", what, us(d[len(d)/2]), us(d[0]), us(d[len(d)*99/100]))
		}
	}
	each := func(count int, f func(i int)) []time.Duration {
		d := make([]time.Duration, count)
		for i := range d {
			t := time.Now()
			f(i)
			d[i] = time.Since(t)
		}
		return d
	}
	if n.ID() == 1 {
		for p := range pages {
			mem[p*words] = uint64(p)
		}
	}
	n.Barrier()
	var sum uint64
	if n.ID() == 0 {
		say("read miss", each(pages, func(p int) { sum += mem[p*words] }))
		say("write upgrade", each(pages, func(p int) { mem[p*words] = 1 }))
	}
	say(fmt.Sprintf("barrier, %d dirty", pages), each(1, func(int) { n.Barrier() }))
	say("barrier", each(2000, func(int) { n.Barrier() }))
	if n.ID() == 0 {
		n.Lock(lock)
		n.Unlock(lock)
		say("lock+unlock, cached", each(20000, func(int) { n.Lock(lock); n.Unlock(lock) }))
	}
	n.Barrier()
	d := each(2000, func(int) { n.Lock(lock + 1); mem[0]++; n.Unlock(lock + 1) })
	n.Barrier()
	say("lock+incr+unlock, contended", d)
	n.Barrier()
	sink = sum
	return nil
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
