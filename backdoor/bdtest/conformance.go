// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"sync"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// Conformance is what every carrier must do. fresh returns a carrier to a
// machine made by New(opts...), whose CPUs run after each batch.
func Conformance(t *testing.T, fresh func(t *testing.T, opts ...Option) (backdoor.Memory, *Target)) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, backdoor.Memory, *Target)
	}{
		{"regions", conformRegions},
		{"guard", conformGuard},
		{"order", conformOrder},
		{"flush", conformFlush},
		{"atomics", conformAtomics},
		{"concurrent", conformConcurrent},
		{"walk", conformWalk},
		{"repair", conformRepair},
		{"identity", conformIdentity},
		{"close", conformClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, target := fresh(t, WithKey(1, uapi.Key{1}))
			defer m.Close()
			c.run(t, m, target)
		})
	}
}

func opened(t *testing.T, m backdoor.Memory) *backdoor.Target {
	t.Helper()
	bt, err := backdoor.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return bt
}

// scratch makes the target offer n bytes more, and opens it.
func scratch(t *testing.T, m backdoor.Memory, target *Target, n int, perm backdoor.Perm) backdoor.Region {
	t.Helper()
	target.Offer("scratch", perm, n)
	r, err := opened(t, m).Region(uapi.KindDevice)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const rwa = backdoor.PermRead | backdoor.PermWrite | backdoor.PermAtomic

// conformRegions: the bytes of every readable region are the target's, but for
// what a NIC in front of it answers itself.
func conformRegions(t *testing.T, m backdoor.Memory, target *Target) {
	compared := 0
	for _, r := range opened(t, m).Regions() {
		if r.Perm&backdoor.PermRead == 0 {
			continue
		}
		switch r.Kind {
		case uapi.KindLockAck, uapi.KindTable, uapi.KindOwnerAck:
			if _, err := ends(t, m, r); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
			continue
		}
		compared++
		for { // its CPUs may write meanwhile
			before := target.Peek(r.Addr, firstBytes(r))
			got, err := ends(t, m, r)
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
			if err != nil || bytes.Equal(got, before) {
				break
			}
			if bytes.Equal(before, target.Peek(r.Addr, firstBytes(r))) {
				t.Errorf("%s: other bytes than the target's", r.Name)
				break
			}
		}
	}
	if compared < 10 {
		t.Errorf("%d regions compared", compared)
	}
}

func firstBytes(r backdoor.Region) int { return int(min(r.Len, 1<<16)) }

// ends reads a region's first bytes and its last one.
func ends(t *testing.T, m backdoor.Memory, r backdoor.Region) ([]byte, error) {
	head := make([]byte, firstBytes(r))
	return head, backdoor.Do(t.Context(), m, r.Read(0, head), r.Read(r.Len-1, make([]byte, 1)))
}

// conformGuard: what lies outside a region or its permissions is refused with
// *AccessError and changes nothing.
func conformGuard(t *testing.T, m backdoor.Memory, target *Target) {
	r := scratch(t, m, target, 4096, backdoor.PermRead)
	word := make([]byte, 8)
	for name, op := range map[string]backdoor.Op{
		"before":     {Kind: backdoor.OpRead, Addr: r.Addr - 1, Key: r.Key, Buf: word},
		"over end":   r.Read(r.Len-7, word),
		"behind":     r.Read(r.Len, word),
		"wraps":      {Kind: backdoor.OpRead, Addr: math.MaxUint64 - 3, Key: r.Key, Buf: word},
		"wrong key":  {Kind: backdoor.OpRead, Addr: r.Addr, Key: r.Key + 1, Buf: word},
		"write":      r.Write(0, []byte("x")),
		"atomic":     {Kind: backdoor.OpFetchAdd, Addr: r.Addr, Key: r.Key, Swap: 1},
		"no bytes":   r.Read(0, nil),
		"what is it": {Kind: 9, Addr: r.Addr, Key: r.Key, Buf: word},
	} {
		var refused *backdoor.AccessError
		if err := backdoor.Do(t.Context(), m, op); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.Equal(target.Peek(r.Addr, 8), make([]byte, 8)) {
		t.Error("a refused operation changed memory")
	}
}

// conformOrder: an operation sees those before it in its batch.
func conformOrder(t *testing.T, m backdoor.Memory, target *Target) {
	r := scratch(t, m, target, 4096, rwa)
	for _, n := range []int{1, 2, 4, 8, 64, 4096} {
		first, second, got := bytes.Repeat([]byte{byte(n)}, n), bytes.Repeat([]byte{0xee}, n), make([]byte, n)
		again := make([]byte, n)
		err := backdoor.Do(t.Context(), m, r.Write(0, first), r.Read(0, got), r.Write(0, second), r.Read(0, again))
		if err != nil || !bytes.Equal(got, first) || !bytes.Equal(again, second) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// conformFlush: behind the first failure nothing is executed.
func conformFlush(t *testing.T, m backdoor.Memory, target *Target) {
	r := scratch(t, m, target, 4096, rwa)
	b := backdoor.NewBatch(r.Write(0, []byte("a")), r.Read(r.Len, make([]byte, 1)), r.Write(1, []byte("b")), r.Read(0, make([]byte, 1)))
	m.Post(t.Context(), b)
	err := b.Wait(t.Context())
	var refused *backdoor.AccessError
	if !errors.As(err, &refused) || b.Ops[0].Err != nil || !errors.Is(b.Ops[2].Err, backdoor.ErrFlushed) || !errors.Is(b.Ops[3].Err, backdoor.ErrFlushed) {
		t.Errorf("batch %v; %v, %v", err, b.Ops[2].Err, b.Ops[3].Err)
	}
	if got := target.Peek(r.Addr, 2); string(got) != "a\x00" {
		t.Errorf("memory is %q", got)
	}
}

func conformAtomics(t *testing.T, m backdoor.Memory, target *Target) {
	if !m.Caps().Atomics {
		t.Skip("the carrier has no atomics")
	}
	r := scratch(t, m, target, 4096, rwa)
	target.Poke64(r.Addr+8, 40)
	b := backdoor.NewBatch(
		backdoor.Op{Kind: backdoor.OpFetchAdd, Addr: r.Addr + 8, Key: r.Key, Swap: 2},
		backdoor.Op{Kind: backdoor.OpCmpSwap, Addr: r.Addr + 8, Key: r.Key, Compare: 42, Swap: 7},
		backdoor.Op{Kind: backdoor.OpCmpSwap, Addr: r.Addr + 8, Key: r.Key, Compare: 42, Swap: 9})
	m.Post(t.Context(), b)
	if err := b.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.Ops[0].Old != 40 || b.Ops[1].Old != 42 || b.Ops[2].Old != 7 {
		t.Errorf("old values %d, %d, %d", b.Ops[0].Old, b.Ops[1].Old, b.Ops[2].Old)
	}
	odd := backdoor.Op{Kind: backdoor.OpFetchAdd, Addr: r.Addr + 4, Key: r.Key, Swap: 1}
	var refused *backdoor.AccessError
	if err := backdoor.Do(t.Context(), m, odd); !errors.As(err, &refused) {
		t.Errorf("unaligned: %v", err)
	}
}

// conformConcurrent: batches of many goroutines do not disturb one another.
func conformConcurrent(t *testing.T, m backdoor.Memory, target *Target) {
	r := scratch(t, m, target, 4096, rwa)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for range 100 {
				got := make([]byte, 256)
				err := backdoor.Do(t.Context(), m, r.Write(uint64(g)*256, bytes.Repeat([]byte{byte(g)}, 256)), r.Read(uint64(g)*256, got))
				if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(g)}, 256)) {
					t.Errorf("goroutine %d: %v", g, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func conformWalk(t *testing.T, m backdoor.Memory, target *Target) {
	for range 100 {
		target.AddProcess(Proc{UID: 1000, Comm: "many"})
	}
	bt := opened(t, m)
	for _, via := range []backdoor.Via{backdoor.ViaIDR, backdoor.ViaList} {
		list, err := bt.Tasks(t.Context(), backdoor.WalkOptions{Via: via})
		if err != nil || len(list.Tasks) != 101 || list.Tasks[100].Comm != "many" || list.Tasks[100].UID != 1000 {
			t.Errorf("by %s: %v", via, err)
		}
	}
}

// conformRepair: lock, kill, knob, unlock.
func conformRepair(t *testing.T, m backdoor.Memory, target *Target) {
	p := target.AddProcess(Proc{UID: 1000, Comm: "bomb"})
	bt := opened(t, m)
	held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 1, Key: uapi.Key{1}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := bt.Hooks(1, uapi.Key{1})
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.PostKills(t.Context(), []backdoor.Kill{{PID: uint32(p.PID), StartTime: p.StartTime, Signal: sigKill}})
	if err != nil || res[0].Err() != nil {
		t.Errorf("kill: %v, %v", res, err)
	}
	if _, err := h.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobOvercommitMemory, Value: 2}); err != nil {
		t.Errorf("knob: %v", err)
	}
	if err := held.Unlock(t.Context()); err != nil || target.Alive(p.PID) {
		t.Errorf("unlock: %v; alive: %v", err, target.Alive(p.PID))
	}
}

// conformIdentity: another machine is never read as the old one, and what was
// meant for the old one is not written to it.
func conformIdentity(t *testing.T, m backdoor.Memory, target *Target) {
	bt := opened(t, m)
	reqs, err := bt.Region(uapi.KindKillReq)
	if err != nil {
		t.Fatal(err)
	}
	target.Reboot()
	stray := []byte("stray")
	if err := backdoor.Do(t.Context(), m, reqs.Write(0, stray)); err == nil || bytes.Contains(target.Peek(target.Area(uapi.KindKillReq), 4096), stray) {
		t.Errorf("a write to the machine that was: %v", err)
	}
	if _, err := bt.Tasks(t.Context(), backdoor.WalkOptions{}); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("after a reboot: %v", err)
	}
	bt = opened(t, m)
	target.Withdraw()
	if _, err := bt.Tasks(t.Context(), backdoor.WalkOptions{}); !errors.Is(err, backdoor.ErrWithdrawn) {
		t.Errorf("after an unload: %v", err)
	}
	if _, err := backdoor.Open(t.Context(), m); !errors.Is(err, backdoor.ErrWithdrawn) {
		t.Errorf("open after an unload: %v", err)
	}
}

// conformClose: after Close every batch still completes, and a context that
// has ended keeps an operation from the target.
func conformClose(t *testing.T, m backdoor.Memory, target *Target) {
	r := scratch(t, m, target, 4096, rwa)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Root(ended); err == nil {
		t.Error("Root ignores its context")
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if err := backdoor.Do(t.Context(), m, r.Read(0, make([]byte, 8))); !errors.Is(err, backdoor.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := m.Root(t.Context()); !errors.Is(err, backdoor.ErrClosed) {
		t.Errorf("root: %v", err)
	}
}
