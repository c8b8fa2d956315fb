// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lazystate/backdoor/uapi"
	"lazystate/dsm/call"
	"lazystate/dsm/call/calltest"
)

// start has a program's daemon listen, which answers as the test says.
func start(t *testing.T, private []byte, answer func(c call.Call) *calltest.Answer) *calltest.Cluster {
	t.Helper()
	c := calltest.Start(t, calltest.Config{Locks: 3, Conds: 2, From: calltest.Checkpoint{Private: private}, Answer: func(_ int, c call.Call) *calltest.Answer {
		if answer == nil {
			return nil
		}
		return answer(c)
	}})
	t.Setenv(SocketVariable, c.Socket(0))
	return c
}

func kinds(t *testing.T, c *calltest.Cluster) []uint32 {
	t.Helper()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	var kinds []uint32
	for _, c := range c.Calls(0) {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

// What a program does arrives at its daemon, and what that says at the program.
func TestMainCalls(t *testing.T) {
	d := start(t, nil, func(c call.Call) *calltest.Answer {
		switch c.Kind {
		case uapi.DsmBarrier:
			return &calltest.Answer{Flags: uapi.DsmReplayed}
		case uapi.DsmWait:
			return &calltest.Answer{}
		}
		return nil
	})
	err := Main(func(n *Node) error {
		if n.ID() != 0 || n.Nodes() != 1 || n.PageSize() != 4096 {
			t.Errorf("node %d of %d, pages of %d", n.ID(), n.Nodes(), n.PageSize())
		}
		s := Slice[int64](n, 1024)
		lock, cond := n.Locks(3), n.Conds(2)
		n.Lock(lock + 2)
		s[1023] = 7
		n.Wait(cond+1, lock+2)
		n.Signal(cond)
		n.Broadcast(cond + 1)
		n.Unlock(lock + 2)
		Place(n, s, 0)
		Prefetch(n, s[600:], true)
		n.Barrier()
		if !n.Replayed() || s[1023] != 7 {
			t.Error("the barrier was replayed, memory is kept")
		}
		_, err := Alloc[int32](n, 5)
		return err
	})
	if err != nil || d.Wait() != nil {
		t.Fatal(err, d.Wait())
	}
	want := []call.Call{
		{Kind: uapi.DsmAcquire, Args: [3]uint64{2}},
		{Kind: uapi.DsmWait, Args: [3]uint64{1, 2}},
		{Kind: uapi.DsmSignal, Args: [3]uint64{0, 2}},
		{Kind: uapi.DsmBroadcast, Args: [3]uint64{1, 2}},
		{Kind: uapi.DsmRelease, Args: [3]uint64{2, 2}},
		{Kind: uapi.DsmPlace, Args: [3]uint64{298, 2, 0}},
		{Kind: uapi.DsmPrefetch, Args: [3]uint64{299, 1, 1}},
		{Kind: uapi.DsmBarrier, Args: [3]uint64{0, 1, 1}},
		{Kind: uapi.DsmAcquire, Args: [3]uint64{3, 1, 1}},
		{Kind: uapi.DsmRelease, Args: [3]uint64{3, 1, 1}},
		{Kind: uapi.DsmEnd, Args: [3]uint64{0, 1, 1}},
	}
	if !slices.Equal(d.Calls(0), want) { // arguments that a call lacks are as they were
		t.Errorf("%v", d.Calls(0))
	}
}

// A checkpoint is taken at the end of the step in which the daemon asks for it,
// and a process that is given it goes on there.
func TestMainGoesOn(t *testing.T) {
	program := func(n *Node, first *int) error {
		var sum int
		*first = -1
		n.Private("sum", &sum)
		n.Run(func(k int) bool {
			if *first < 0 {
				*first = k
			}
			sum += k
			n.Barrier()
			return k < 3
		})
		if sum != 6 {
			t.Errorf("the sum is %d", sum)
		}
		return nil
	}
	barriers, first := 0, 0
	d := start(t, nil, func(c call.Call) *calltest.Answer {
		if c.Kind != uapi.DsmBarrier {
			return nil
		}
		if barriers++; barriers != 2 {
			return nil
		}
		return &calltest.Answer{Flags: uapi.DsmDue}
	})
	if err := Main(func(n *Node) error { return program(n, &first) }); err != nil || first != 0 {
		t.Fatal(first, err)
	}
	const b, c, e = uapi.DsmBarrier, uapi.DsmCheckpoint, uapi.DsmEnd
	if got := kinds(t, d); !slices.Equal(got, []uint32{b, b, c, b, b, e}) {
		t.Errorf("%v", d.Calls(0))
	}
	again := start(t, d.Saved(0).Private, nil)
	if err := Main(func(n *Node) error { return program(n, &first) }); err != nil || first != 2 {
		t.Fatal(first, err)
	}
	if got := kinds(t, again); !slices.Equal(got, []uint32{b, b, e}) {
		t.Errorf("%v", again.Calls(0))
	}
}

// A call that cannot be ends the program, a checkpoint that was not written does
// not.
func TestMainErrors(t *testing.T) {
	barriers := 0
	d := start(t, nil, func(c call.Call) *calltest.Answer {
		switch c.Kind {
		case uapi.DsmCheckpoint:
			return &calltest.Answer{Cause: uapi.DsmLost, Why: "the disk is full"}
		case uapi.DsmBarrier:
			if barriers++; barriers == 3 {
				return &calltest.Answer{Cause: uapi.DsmRefused, Why: "nodes 1 and 2 were lost at once"}
			}
			return &calltest.Answer{Flags: uapi.DsmDue}
		}
		return nil
	})
	err := Main(func(n *Node) error { step(n); return nil })
	var refused *call.Error
	if !errors.As(err, &refused) || refused.Cause != uapi.DsmRefused || !strings.Contains(err.Error(), "nodes 1 and 2") {
		t.Error(err)
	}
	if d.Wait() == nil {
		t.Error("a program that failed has not ended")
	}
	const b, c = uapi.DsmBarrier, uapi.DsmCheckpoint
	var got []uint32
	for _, c := range d.Calls(0) {
		got = append(got, c.Kind)
	}
	if !slices.Equal(got, []uint32{b, c, b, c, b}) {
		t.Errorf("%v", d.Calls(0))
	}
}

func TestMainAlone(t *testing.T) {
	t.Setenv(SocketVariable, "")
	if err := Main(nil); err == nil || !strings.Contains(err.Error(), "dsmrun") {
		t.Error(err)
	}
}
