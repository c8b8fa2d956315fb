// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"

	"lazystate/verbs"
)

// testInFlight keeps 1,000 operations on their way over one queue pair.
func testInFlight(t *testing.T, b *bench) {
	const ops, size = 1000, 200
	for _, op := range []verbs.Opcode{verbs.OpRDMAWrite, verbs.OpRDMARead, verbs.OpSend} {
		t.Run(op.String(), func(t *testing.T) {
			x, y := b.ends(t, config{depth: ops, memory: ops * size})
			fill(x.mr.Bytes(), 1)
			fill(y.mr.Bytes(), 2)
			var wrs []verbs.SendWR
			for i := range ops {
				if op == verbs.OpSend {
					y.recv(uint64(i), i*size, size)
				}
				wr := x.request(op, i*size, size, y, i*size)
				wr.ID = uint64(i)
				wrs = append(wrs, wr)
			}
			for i := 0; i < ops; i += 250 {
				x.send(wrs[i : i+250]...)
			}
			for i, wc := range x.ok(ops) {
				if wc.ID != uint64(i) {
					t.Fatalf("completion %d is of %d", i, wc.ID)
				}
			}
			if op == verbs.OpSend {
				y.ok(ops)
			}
			if i := differ(x.mr.Bytes(), y.mr.Bytes()); i >= 0 {
				t.Errorf("byte %d differs", i)
			}
		})
	}
}

// testManyQPs talks over 64 connections from 8 goroutines; a sample is 16.
func testManyQPs(t *testing.T, b *bench) {
	const goroutines = 8
	each := 8
	if b.Sample != 0 {
		each = 2
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		var xs, ys []*end
		for range each {
			x, y := b.ends(t, config{memory: 16 << 10})
			xs, ys = append(xs, x), append(ys, y)
		}
		wg.Go(func() {
			for round := range 5 {
				for i := range xs {
					if !talk(t, xs[i], ys[i], 100*g+10*i+round) {
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// talk is a write, a read and a send at once; it may run in any goroutine.
func talk(t *testing.T, x, y *end, seed int) bool {
	const size = 5000
	fill(x.mr.Bytes()[:size], seed)
	fill(y.mr.Bytes()[:2*size], seed+7)
	read := bytes.Clone(y.mr.Bytes()[size : 2*size])
	if _, err := y.qp.PostRecv(verbs.RecvWR{SG: []verbs.SGE{y.mr.SGE(2*size, size)}}); err != nil {
		t.Error(err)
		return false
	}
	_, err := x.qp.PostSend(
		x.request(verbs.OpRDMAWrite, 0, size, y, 0),
		x.request(verbs.OpRDMARead, size, size, y, size),
		x.request(verbs.OpSend, 0, size, y, 0))
	if err != nil {
		t.Error(err)
		return false
	}
	if !succeed(t, x, 3) || !succeed(t, y, 1) {
		return false
	}
	xm, ym := x.mr.Bytes(), y.mr.Bytes()
	if !bytes.Equal(ym[:size], xm[:size]) || !bytes.Equal(xm[size:2*size], read) || !bytes.Equal(ym[2*size:3*size], xm[:size]) {
		t.Errorf("qp %d: other bytes", x.qp.Num())
		return false
	}
	return true
}

// succeed takes n successful completions; it may run in any goroutine.
func succeed(t *testing.T, e *end, n int) bool {
	wc := make([]verbs.WC, n)
	for n > 0 {
		e.alive()
		k, err := e.cq.Wait(e.ctx, wc[:n])
		if err != nil {
			t.Error(err)
			return false
		}
		for i := range k {
			if err := wc[i].Err(); err != nil {
				t.Error(err)
				return false
			}
		}
		n -= k
	}
	return true
}

func testAtomics(t *testing.T, b *bench) {
	if b.b.Attr().Atomics == verbs.AtomicNone {
		t.Skipf("%v has no atomics", b.b)
	}
	x, y := b.ends(t, config{})
	remote := func() uint64 { return binary.NativeEndian.Uint64(y.mr.Bytes()[64:]) }
	do := func(op verbs.Opcode, compareAdd, swap uint64) (old uint64) {
		wr := x.request(op, 16, 8, y, 64)
		wr.CompareAdd, wr.Swap = compareAdd, swap
		x.send(wr)
		x.ok(1)
		return binary.NativeEndian.Uint64(x.mr.Bytes()[16:])
	}
	binary.NativeEndian.PutUint64(y.mr.Bytes()[64:], 0x1122334455667788)
	for _, c := range []struct {
		op              verbs.Opcode
		compareAdd      uint64
		swap            uint64
		wantOld, wantIs uint64
	}{
		{verbs.OpAtomicCmpAndSwp, 0x1122334455667788, 42, 0x1122334455667788, 42},
		{verbs.OpAtomicCmpAndSwp, 43, 44, 42, 42},
		{verbs.OpAtomicFetchAndAdd, 8, 0, 42, 50},
		{verbs.OpAtomicFetchAndAdd, 1<<64 - 51, 0, 50, 1<<64 - 1},
		{verbs.OpAtomicFetchAndAdd, 1, 0, 1<<64 - 1, 0},
		{verbs.OpAtomicCmpAndSwp, 0, 1<<63 | 1, 0, 1<<63 | 1},
	} {
		if old := do(c.op, c.compareAdd, c.swap); old != c.wantOld || remote() != c.wantIs {
			t.Errorf("%v(%#x, %#x): found %#x, left %#x; want %#x, %#x", c.op, c.compareAdd, c.swap, old, remote(), c.wantOld, c.wantIs)
		}
	}
	t.Run("many at once", func(t *testing.T) { testConcurrentAtomics(t, b) })
}

// testConcurrentAtomics adds and swaps in one word over several connections.
func testConcurrentAtomics(t *testing.T, b *bench) {
	const ends, rounds = 4, 100
	first, y := b.ends(t, config{})
	xs := []*end{first}
	for len(xs) < ends {
		x, _ := b.ends(t, config{})
		c := config{}
		c.defaults()
		x.swapPeer(b, y, c)
		xs = append(xs, x)
	}
	binary.NativeEndian.PutUint64(y.mr.Bytes(), 0)
	var wg sync.WaitGroup
	swapped := make([]uint64, ends)
	for i, x := range xs {
		wg.Go(func() {
			for range rounds {
				add := x.request(verbs.OpAtomicFetchAndAdd, 0, 8, y, 0)
				add.CompareAdd = 1
				cas := x.request(verbs.OpAtomicCmpAndSwp, 8, 8, y, 8)
				cas.CompareAdd = binary.NativeEndian.Uint64(x.mr.Bytes()[8:])
				cas.Swap = cas.CompareAdd + 1
				if _, err := x.qp.PostSend(add, cas); err != nil {
					t.Error(err)
					return
				}
				if !succeed(t, x, 2) {
					return
				}
				if binary.NativeEndian.Uint64(x.mr.Bytes()[8:]) == cas.CompareAdd {
					swapped[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := uint64(0)
	for _, n := range swapped {
		sum += n
	}
	if v := binary.NativeEndian.Uint64(y.mr.Bytes()); v != ends*rounds {
		t.Errorf("%d additions made %d", ends*rounds, v)
	}
	if v := binary.NativeEndian.Uint64(y.mr.Bytes()[8:]); v != sum {
		t.Errorf("%d swaps that hit made %d", sum, v)
	}
}

// swapPeer connects x anew, with another queue pair of y's protection domain.
func (x *end) swapPeer(b *bench, y *end, c config) {
	x.t.Helper()
	closeAll(x.t, x.qp)
	x.prepare(c)
	p := must(y.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: y.cq, Access: c.qp, Cap: verbs.QPCap{MaxSendWR: 1, MaxRecvWR: 1, MaxSendSGE: 1, MaxRecvSGE: 1}}))(x.t)
	ours, theirs := x.prepared.Endpoint(), p.Endpoint()
	other := must(p.Connect(ours, c.options()))(x.t)
	x.t.Cleanup(func() { closeAll(x.t, other) })
	x.qp = must(x.prepared.Connect(theirs, c.options()))(x.t)
}

// testFence: a write that takes what a read brings must wait for it, and says
// so with a fence.
func testFence(t *testing.T, b *bench) {
	x, y := b.ends(t, config{memory: 1 << 20})
	const size = 100_000
	for i := range 20 {
		fill(x.mr.Bytes(), i)
		fill(y.mr.Bytes(), 1000+i)
		want := bytes.Clone(y.mr.Bytes()[:size])
		read := x.request(verbs.OpRDMARead, 0, size, y, 0)
		write := x.request(verbs.OpRDMAWrite, 0, size, y, 2*size)
		write.Flags |= verbs.SendFence
		x.send(read, write)
		x.ok(2)
		if !bytes.Equal(y.mr.Bytes()[2*size:3*size], want) {
			t.Fatal("the write did not wait for the read before it")
		}
	}
}

// testClose closes everything while operations are on their way.
func testClose(t *testing.T, b *bench) {
	rounds := 10
	if b.Sample != 0 {
		rounds = 2
	}
	for range rounds {
		x, y := b.ends(t, config{depth: 256, memory: 1 << 20})
		for i := range 200 {
			x.send(x.request([]verbs.Opcode{verbs.OpRDMAWrite, verbs.OpRDMARead, verbs.OpSend}[i%3], 0, 4096, y, 0))
		}
		closeAll(t, x.qp, x.mr)
		closeAll(t, y.mr, y.qp)
	}
}
