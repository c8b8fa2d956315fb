// SPDX-License-Identifier: Apache-2.0

package backdoor_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

func pids(list *backdoor.TaskList) map[int32]bool {
	seen := map[int32]bool{}
	for _, t := range list.Tasks {
		seen[t.PID] = true
	}
	return seen
}

func TestListCycle(t *testing.T) {
	target := bdtest.New()
	populate(target, 20)
	tasks := target.Offset("task_struct.tasks")
	target.Poke64(target.TaskAddr(10)+tasks, target.TaskAddr(5)+tasks) // 10 -> 5 for ever
	bt := open(t, target)
	_, err := bt.Tasks(t.Context(), backdoor.WalkOptions{Via: backdoor.ViaList})
	var broken *backdoor.ListError
	if !errors.As(err, &broken) || broken.Why != "cycle" {
		t.Errorf("by list: %v", err)
	}
	if list := walk(t, bt, backdoor.ViaIDR); len(list.Tasks) != 21 {
		t.Errorf("by IDR: %d tasks", len(list.Tasks))
	}
}

func TestListWildPointer(t *testing.T) {
	for name, to := range map[string]uint64{"null": 0, "poison": 0xdead000000000100, "odd": 3, "user": 0x1000, "behind RAM": 0xffff888000000000 + 1<<32} {
		target := bdtest.New()
		populate(target, 20)
		target.Poke64(target.TaskAddr(10)+target.Offset("task_struct.tasks"), to)
		_, err := open(t, target).Tasks(t.Context(), backdoor.WalkOptions{Via: backdoor.ViaList})
		var broken *backdoor.ListError
		if !errors.As(err, &broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListIsBounded(t *testing.T) {
	target := bdtest.New()
	populate(target, 20)
	bt := open(t, target)
	list, err := bt.Tasks(t.Context(), backdoor.WalkOptions{Via: backdoor.ViaList, Max: 21})
	if err != nil || len(list.Tasks) != 21 {
		t.Errorf("%d tasks, %v", len(list.Tasks), err)
	}
	before := bt.Stats()
	_, err = bt.Tasks(t.Context(), backdoor.WalkOptions{Via: backdoor.ViaList, Max: 5})
	var broken *backdoor.ListError
	if n := bt.Stats().Sub(before).Reads; !errors.As(err, &broken) || n > 100 {
		t.Errorf("%d reads, %v", n, err)
	}
}

// An IDR node that names itself, wild slots, a struct pid of another number:
// each costs its own entries, never the walk.
func TestIDRCorruption(t *testing.T) {
	node := func(target *bdtest.Target) uint64 {
		word := target.Peek(target.IDRHead(), 8)
		return binary.LittleEndian.Uint64(word) - 2
	}
	for name, c := range map[string]struct {
		spoil func(*bdtest.Target)
		left  int
		torn  int
	}{
		"slot names its own node": {func(b *bdtest.Target) {
			b.Poke64(node(b)+b.Offset("xa_node.slots")+8*7, node(b)+2)
		}, 20, 1},
		"wild struct pid": {func(b *bdtest.Target) {
			b.Poke64(node(b)+b.Offset("xa_node.slots")+8*7, 0xdead000000000100)
		}, 20, 1},
		"struct pid of another": {func(b *bdtest.Target) {
			other := b.Peek(node(b)+b.Offset("xa_node.slots")+8*9, 8)
			b.Poke(node(b)+b.Offset("xa_node.slots")+8*7, other)
		}, 20, 1},
		"a value, a sibling, a retry entry": {func(b *bdtest.Target) {
			for i, v := range []uint64{0x11, 0x22, 0x402} {
				b.Poke64(node(b)+b.Offset("xa_node.slots")+8*uint64(7+i), v)
			}
		}, 18, 0},
		"impossible shift": {func(b *bdtest.Target) { b.Poke(node(b)+b.Offset("xa_node.shift"), []byte{60}) }, 0, 1},
		"wild head":        {func(b *bdtest.Target) { b.Poke64(b.IDRHead(), 0xffff888fffffff02) }, 0, 1},
		"task of another pid": {func(b *bdtest.Target) {
			b.Poke(b.TaskAddr(7)+b.Offset("task_struct.pid"), []byte{99, 0, 0, 0})
		}, 20, 1},
		"wild credentials": {func(b *bdtest.Target) {
			b.Poke64(b.TaskAddr(7)+b.Offset("task_struct.real_cred"), 0xffff8880ffffff00)
		}, 20, 1},
		"wild mm": {func(b *bdtest.Target) { b.Poke64(b.TaskAddr(7)+b.Offset("task_struct.mm"), 8) }, 20, 1},
	} {
		target := bdtest.New()
		populate(target, 20)
		c.spoil(target)
		list := walk(t, open(t, target), backdoor.ViaIDR)
		if len(list.Tasks) != c.left || list.Torn != c.torn {
			t.Errorf("%s: %d tasks and %d torn, want %d and %d", name, len(list.Tasks), list.Torn, c.left, c.torn)
		}
	}
}

// A tree of pids that is as wide as its nodes allow, each of them another: what
// a walk reads is bounded by the pids that a kernel can have.
func TestIDRIsBounded(t *testing.T) {
	target := bdtest.New()
	bt := open(t, target)
	free := target.Area(uapi.KindTable)&^(1<<20-1) + 4<<20
	nodes, zeros := free, free+4<<20
	var grow func(shift int) uint64
	grow = func(shift int) uint64 {
		node := nodes
		nodes += target.Offset("xa_node")
		target.Poke(node+target.Offset("xa_node.shift"), []byte{byte(shift)})
		for i := range uint64(64) {
			child := zeros
			if shift > 6 {
				child = grow(shift - 6)
			} else {
				zeros += 4 // of what overlaps, too
			}
			target.Poke64(node+target.Offset("xa_node.slots")+8*i, child|2)
		}
		return node
	}
	target.Poke64(target.IDRHead(), grow(18)|2)
	before := bt.Stats()
	_, _ = bt.Tasks(t.Context(), backdoor.WalkOptions{})
	if n := bt.Stats().Sub(before).Reads; n > 1<<22/64+1<<22/4096+1<<22/262144+100 {
		t.Errorf("%d reads", n)
	}
}

func TestWalkIsTruncatedNotWrong(t *testing.T) {
	target := bdtest.New()
	populate(target, 500)
	list, err := open(t, target).Tasks(t.Context(), backdoor.WalkOptions{Max: 100})
	if err != nil || !list.Truncated || len(list.Tasks) != 100 {
		t.Errorf("%v, truncated %v, %d tasks", err, list.Truncated, len(list.Tasks))
	}
}

// Processes come and go in the middle of every read. What the walk reports
// existed at some moment of it; those that lived throughout are all there.
func TestWalkOfChangingTarget(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		target := bdtest.New()
		populate(target, 60)
		ever := map[int32]bool{1: true}
		var mortal []int
		for _, p := range target.Processes() {
			ever[int32(p.PID)] = true
			if p.PID > 40 {
				mortal = append(mortal, p.PID)
			}
		}
		bt := open(t, target)
		target.Memory().During(func(int, *backdoor.Op) {
			if rng.IntN(3) > 0 {
				return
			}
			if len(mortal) > 0 && rng.IntN(2) == 0 {
				i := rng.IntN(len(mortal))
				target.RemoveProcess(mortal[i])
				mortal = append(mortal[:i], mortal[i+1:]...)
				return
			}
			p := target.AddProcess(bdtest.Proc{UID: 4242, Comm: "young"})
			ever[int32(p.PID)] = true
			mortal = append(mortal, p.PID)
		})
		seen := pids(walk(t, bt, backdoor.ViaIDR))
		for pid := range seen {
			if !ever[pid] {
				t.Fatalf("seed %d: pid %d never was", seed, pid)
			}
		}
		for pid := int32(1); pid <= 40; pid++ {
			if !seen[pid] {
				t.Errorf("seed %d: pid %d lived all the time and was not seen", seed, pid)
			}
		}
	}
}

// Random words anywhere in the target: every operation returns, in bounded
// reads, with a result or an error.
func TestRandomCorruption(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		target := bdtest.New(bdtest.WithRAM(4<<20), bdtest.WithKey(2, key))
		populate(target, 10)
		bt, err := backdoor.Open(t.Context(), target.Memory())
		if err != nil {
			rt.Fatal(err)
		}
		base := target.Area(uapi.KindTable) &^ (1<<20 - 1)
		for range rapid.IntRange(1, 40).Draw(rt, "words") {
			at := base + rapid.Uint64Range(0, 1<<17-1).Draw(rt, "at")*8
			v := rapid.OneOf(rapid.Uint64(), rapid.Map(rapid.Uint64Range(0, 1<<17), func(o uint64) uint64 { return base + o*8 })).Draw(rt, "v")
			target.Poke64(at, v)
		}
		for _, via := range []backdoor.Via{backdoor.ViaIDR, backdoor.ViaList} {
			before := bt.Stats()
			list, err := bt.Tasks(t.Context(), backdoor.WalkOptions{Via: via, Max: 1000})
			if err == nil && len(list.Tasks) > 1000 {
				rt.Fatalf("by %s: %d tasks of ten", via, len(list.Tasks))
			}
			if n := bt.Stats().Sub(before).Reads; n > 10000 {
				rt.Fatalf("by %s: %d reads", via, n)
			}
		}
		if _, err := bt.LockView(t.Context()); err != nil {
			var bad *backdoor.CorruptError
			if !errors.As(err, &bad) && !errors.Is(err, backdoor.ErrTorn) {
				rt.Fatal(err)
			}
		}
		_, _ = backdoor.Open(t.Context(), target.Memory())
	})
}
