// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"lazystate/dsm/heap"
)

// Nodes add to counters under locks, and see each other's sums behind a barrier.
func TestLocksAndBarriers(t *testing.T) {
	const nodes, rounds = 4, 200
	err := Local(LocalConfig{Nodes: nodes}, func(n *Node) error {
		counters := Slice[int64](n, 3)
		locks := n.Locks(len(counters))
		for i := range rounds {
			c := (i + n.ID()) % len(counters)
			n.Lock(locks + c)
			counters[c]++
			n.Unlock(locks + c)
		}
		n.Barrier()
		if sum := counters[0] + counters[1] + counters[2]; sum != nodes*rounds {
			t.Errorf("node %d counts %d", n.ID(), sum)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A queue of one place: each number is put once and taken once.
func TestConditions(t *testing.T) {
	const last = 300
	var sum atomic.Int64
	err := Local(LocalConfig{Nodes: 3}, func(n *Node) error {
		place := Slice[int64](n, 1)
		lock, cond := n.Locks(1), n.Conds(1)
		if n.ID() == 0 {
			for i := int64(1); i <= last+2; i++ {
				n.Lock(lock)
				for place[0] != 0 {
					n.Wait(cond, lock)
				}
				place[0] = i
				n.Broadcast(cond)
				n.Unlock(lock)
			}
			return nil
		}
		for {
			n.Lock(lock)
			for place[0] == 0 {
				n.Wait(cond, lock)
			}
			i := place[0]
			place[0] = 0
			n.Broadcast(cond)
			n.Unlock(lock)
			if i > last { // one for each of the two
				return nil
			}
			sum.Add(i)
		}
	})
	if want := int64(last * (last + 1) / 2); err != nil || sum.Load() != want {
		t.Errorf("%d, not %d: %v", sum.Load(), want, err)
	}
}

// A list in the heap, to which all nodes add.
func TestHeap(t *testing.T) {
	const nodes, each = 3, 50
	type item struct {
		Next Ref[item]
		From int64
	}
	err := Local(LocalConfig{Nodes: nodes}, func(n *Node) error {
		head := Slice[Ref[item]](n, 1)
		lock := n.Locks(1)
		for range each {
			r, err := Alloc[item](n, 1)
			if err != nil {
				return err
			}
			n.Lock(lock)
			r.In(n)[0] = item{head[0], int64(n.ID())}
			head[0] = r
			n.Unlock(lock)
		}
		n.Barrier()
		seen := make([]int, nodes)
		for r := head[0]; r != (Ref[item]{}); r = r.In(n)[0].Next {
			seen[r.In(n)[0].From]++
		}
		for id, count := range seen {
			if count != each {
				t.Errorf("node %d sees %d items of node %d", n.ID(), count, id)
			}
		}
		n.Barrier()
		if n.ID() > 0 {
			return nil
		}
		return Free(n, head[0])
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is reserved is aligned, apart, and the same at all nodes.
func TestSlices(t *testing.T) {
	err := Local(LocalConfig{Nodes: 2, Bytes: 64 << 10}, func(n *Node) error {
		small, large := Slice[int32](n, 3), Slice[[2]float64](n, 1000)
		again := Slice[byte](n, 4096)
		for i, at := range []int{first(offset(n, small)) % line, first(offset(n, large)) % n.PageSize(), first(offset(n, again)) % n.PageSize()} {
			if at != 0 {
				t.Errorf("slice %d is not aligned: %d", i, at)
			}
		}
		if n.ID() == 0 {
			Place(n, large, 1)
			Prefetch(n, again, true)
			fill(small, 7)
			fill(large, [2]float64{1, 2})
			fill(again, 3)
		}
		n.Barrier()
		for _, ok := range []bool{small[2] == 7, large[0] == [2]float64{1, 2}, large[999] == large[0], again[0] == 3, again[4095] == 3} {
			if !ok {
				t.Error("a slice lies in another")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func first(a, _ int) int { return a }

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// What a program does wrong it is told, on every node.
func TestWrong(t *testing.T) {
	type pointed struct {
		A int
		B [2]struct{ S string }
	}
	for name, c := range map[string]struct {
		program func(n *Node)
		want    string
	}{
		"unlock":            {func(n *Node) { n.Unlock(n.Locks(1)) }, "does not have it"},
		"lock twice":        {func(n *Node) { l := n.Locks(2); n.Lock(l + n.ID()); n.Lock(l + n.ID()) }, "has it already"},
		"ends with a lock":  {func(n *Node) { alone(n, func() { n.Lock(n.lock - 1) }) }, "ends with lock 0"},
		"heap's lock":       {func(n *Node) { n.Lock(n.heapLock()) }, "did not reserve"},
		"lock not reserved": {func(n *Node) { n.Lock(n.Locks(1) + 1) }, "did not reserve"},
		"too many locks":    {func(n *Node) { n.Locks(5000) }, "of 4096"},
		"conds":             {func(n *Node) { n.Conds(1); n.Signal(1) }, "did not reserve"},
		"too many conds":    {func(n *Node) { n.Conds(65) }, "of 64"},
		"wait, no lock":     {func(n *Node) { n.Wait(n.Conds(1), n.Locks(1)) }, "does not have it"},
		"pointers":          {func(n *Node) { Slice[pointed](n, 1) }, "it has a string"},
		"nothing":           {func(n *Node) { Slice[struct{}](n, 1) }, "1 elements of 0 bytes"},
		"full":              {func(n *Node) { Slice[byte](n, 16<<20) }, "full"},
		"late":              {func(n *Node) { n.Barrier(); Slice[byte](n, 1) }, "before the first operation"},
		"other slices":      {func(n *Node) { Slice[int32](n, 1+n.ID()) }, "where another reserved"},
		"not shared":        {func(n *Node) { Prefetch(n, make([]byte, 10), false) }, "not in the region"},
		"no reference":      {func(n *Node) { Ref[int]{}.In(n) }, "not in the heap"},
		"wild reference":    {func(n *Node) { Ref[int]{1 << 62, 1 << 62}.In(n) }, "not in the heap"},
		"place":             {func(n *Node) { Place(n, Slice[byte](n, 1), 2) }, "node 2 of 2"},
		"two runs":          {func(n *Node) { n.Run(func(int) bool { return false }); n.Run(nil) }, "a program has one"},
		"run late":          {func(n *Node) { n.Barrier(); n.Run(nil) }, "operations came before"},
		"registered twice":  {func(n *Node) { n.Private("x", new(int)); n.Private("x", new(int)) }, "registered twice"},
		"registered late":   {func(n *Node) { n.Run(func(int) bool { return false }); n.Private("x", new(int)) }, "before Run"},
		"cannot be coded":   {func(n *Node) { n.Private("x", func() {}); step(n) }, `private state "x"`},
		"lock held": {func(n *Node) {
			l := n.Locks(2)
			n.Run(func(int) bool { n.Checkpoint(); n.Lock(l + n.ID()); return true })
		}, "is held at the end of step 0"},
		"barrier": {func(n *Node) { alone(n, func() { n.Barrier() }) }, "wait"},
	} {
		err := Local(LocalConfig{Nodes: 2}, func(n *Node) error { n.Locks(1); c.program(n); return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func step(n *Node) {
	n.Run(func(k int) bool { n.Checkpoint(); n.Barrier(); return k < 2 })
}

func alone(n *Node, do func()) {
	if n.ID() == 0 {
		do()
	}
}

func TestTwoGoroutinesAreRefused(t *testing.T) {
	err := Local(LocalConfig{}, func(n *Node) error {
		l := n.Locks(1)
		n.busy.Store(true) // one is in an operation
		n.Lock(l)
		return nil
	})
	if !errors.Is(err, errBusy) {
		t.Error(err)
	}
}

func TestFullIsTold(t *testing.T) {
	err := Local(LocalConfig{Bytes: 8192}, func(n *Node) error {
		_, err := Alloc[byte](n, 1<<20)
		return err
	})
	if !errors.Is(err, heap.ErrFull) {
		t.Error(err)
	}
}

// A program that fails on one node ends on all, with that node's error.
func TestOneFailsAllEnd(t *testing.T) {
	for _, wait := range []func(n *Node, l, c int){
		func(n *Node, l, c int) { n.Barrier() },
		func(n *Node, l, c int) { n.Lock(l); n.Wait(c, l) },
		func(n *Node, l, c int) { n.Lock(l); n.Barrier() },
	} {
		want := errors.New("no")
		err := Local(LocalConfig{Nodes: 3}, func(n *Node) error {
			l, c := n.Locks(1), n.Conds(1)
			if n.ID() == 1 {
				return want
			}
			wait(n, l, c)
			return nil
		})
		if !errors.Is(err, want) {
			t.Error(err)
		}
	}
}
