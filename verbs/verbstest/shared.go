// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"lazystate/verbs"
	"lazystate/verbs/driver"
)

// testSRQ: two queue pairs take from one shared receive queue, and its owner
// is told when it runs low.
func testSRQ(t *testing.T, b *bench) {
	b.need(t, verbs.CapSRQ, "shared receive queues")
	c := config{memory: 64 << 10}
	c.defaults()
	y := b.newEnd(t, b.b, c, verbs.AccessAll)
	srq := must(y.pd.CreateSRQ(32, 2))(t)
	t.Cleanup(func() { closeAll(t, srq) })
	c.srq = srq
	var xs, ys []*end
	for range 2 {
		x := b.newEnd(t, b.a, config{depth: 64, sge: 2, memory: 64 << 10, qp: verbs.AccessAll}, verbs.AccessAll)
		z := &end{t: t, bench: b, dev: b.b, pd: y.pd, cq: y.cq, mr: y.mr}
		z.prepare(c)
		x.connect(z, c)
		t.Cleanup(func() { closeAll(t, z.qp) })
		xs, ys = append(xs, x), append(ys, z)
	}
	if _, err := ys[0].qp.PostRecv(verbs.RecvWR{}); err == nil {
		t.Error("a queue pair with a shared receive queue took a receive")
	}
	var wrs []verbs.RecvWR
	for i := range 16 {
		wrs = append(wrs, verbs.RecvWR{ID: uint64(i), SG: []verbs.SGE{y.mr.SGE(100*i, 100)}})
	}
	must(srq.PostRecv(wrs...))(t)
	if b.b.Has(verbs.CapEvents) {
		if err := srq.Arm(8); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[uint64]bool{}
	for i := range 12 {
		x := xs[i%2]
		fill(x.mr.Bytes()[:100], i)
		x.send(x.request(verbs.OpSend, 0, 100, y, 0))
		x.ok(1)
		wc := y.ok(1)[0]
		if wc.QPNum != ys[i%2].qp.Num() || seen[wc.ID] {
			t.Errorf("message %d: %+v", i, wc)
		}
		seen[wc.ID] = true
		if got := y.mr.Bytes()[100*wc.ID:][:100]; !bytes.Equal(got, x.mr.Bytes()[:100]) {
			t.Errorf("message %d: other bytes", i)
		}
	}
	if b.b.Has(verbs.CapEvents) {
		if e := b.event(t, b.b, driver.EventSRQLimit); e.SRQ != srq {
			t.Errorf("the limit of %v, not of %v", e.SRQ, srq)
		}
	}
}

// testWindows binds a window of type 2 onto a part of a registration.
func testWindows(t *testing.T, b *bench) {
	b.need(t, verbs.CapWindows|verbs.CapLocalInv, "memory windows")
	open := func(t *testing.T) (x, y *end, mw *verbs.MW, key uint32) {
		x, y = b.ends(t, config{access: verbs.AccessLocalWrite | verbs.AccessMWBind})
		mw = must(y.pd.AllocMW())(t)
		t.Cleanup(func() { closeAll(t, mw) })
		key = verbs.NextRKey(mw.RKey())
		wr := mw.Bind(key, y.mr, 4096, 4096, verbs.AccessRemoteRead|verbs.AccessRemoteWrite)
		wr.Flags = verbs.SendSignaled
		y.send(wr)
		y.ok(1)
		return x, y, mw, key
	}
	read := func(x, y *end, key uint32, off, n int) verbs.WCStatus {
		wr := x.request(verbs.OpRDMARead, 0, n, y, off)
		wr.RKey = key
		x.send(wr)
		return x.wait(1)[0].Status
	}
	t.Run("within", func(t *testing.T) {
		x, y, _, key := open(t)
		fill(y.mr.Bytes(), 1)
		if s := read(x, y, key, 4096, 4096); s != verbs.WCSuccess {
			t.Fatal(s)
		}
		if !bytes.Equal(x.mr.Bytes()[:4096], y.mr.Bytes()[4096:8192]) {
			t.Error("other bytes")
		}
	})
	t.Run("without", func(t *testing.T) {
		if b.WideWindows {
			t.Skipf("windows of %v end with their registration", b.b)
		}
		x, y, _, key := open(t)
		if s := read(x, y, key, 4095, 8); s != verbs.WCRemAccessErr {
			t.Error(s)
		}
	})
	t.Run("before the bind's key", func(t *testing.T) {
		x, y, mw, _ := open(t)
		if s := read(x, y, mw.RKey(), 4096, 8); s != verbs.WCRemAccessErr {
			t.Error(s)
		}
	})
	t.Run("invalidated by its owner", func(t *testing.T) {
		x, y, _, key := open(t)
		y.send(verbs.SendWR{Op: verbs.OpLocalInv, Imm: key, Flags: verbs.SendSignaled})
		y.ok(1)
		if s := read(x, y, key, 4096, 8); s != verbs.WCRemAccessErr {
			t.Error(s)
		}
	})
	t.Run("invalidated by the peer", func(t *testing.T) {
		x, y, _, key := open(t)
		y.recv(1, 0, 8)
		wr := x.request(verbs.OpSend, 0, 8, y, 0)
		wr.Op, wr.Imm = verbs.OpSendWithInv, key
		x.send(wr)
		x.ok(1)
		if wc := y.ok(1)[0]; wc.Flags&verbs.WCWithInv == 0 || wc.Imm != key {
			t.Errorf("%+v does not say which key", wc)
		}
		if s := read(x, y, key, 4096, 8); s != verbs.WCRemAccessErr {
			t.Error(s)
		}
	})
}

// vault is a handler over memory of its own; it refuses the second kilobyte.
type vault struct {
	mu  sync.Mutex
	mem [4096]byte
	qps map[driver.QP]bool
}

var errVault = errors.New("closed")

func (v *vault) part(qp driver.QP, off uint64, n int) ([]byte, error) {
	v.qps[qp] = true
	if off+uint64(n) > 1024 && off < 2048 {
		return nil, errVault
	}
	return v.mem[off : off+uint64(n)], nil
}

func (v *vault) RemoteRead(qp driver.QP, off uint64, dst []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, err := v.part(qp, off, len(dst))
	copy(dst, p)
	return err
}

func (v *vault) RemoteWrite(qp driver.QP, off uint64, src []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, err := v.part(qp, off, len(src))
	copy(p, src)
	return err
}

func (v *vault) RemoteCmpSwap(qp driver.QP, off uint64, compare, swap uint64) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, err := v.part(qp, off, 8)
	if err != nil {
		return 0, err
	}
	old := binary.NativeEndian.Uint64(p)
	if old == compare {
		binary.NativeEndian.PutUint64(p, swap)
	}
	return old, nil
}

func (v *vault) RemoteFetchAdd(qp driver.QP, off uint64, add uint64) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p, err := v.part(qp, off, 8)
	if err != nil {
		return 0, err
	}
	old := binary.NativeEndian.Uint64(p)
	binary.NativeEndian.PutUint64(p, old+add)
	return old, nil
}

// gate is a vault that is asked about reads as a whole.
type gate struct {
	vault
	answers []error // one for each time that it is asked
	asked   [][2]uint64
}

func (g *gate) AdmitRead(_ driver.QP, off, n uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, [2]uint64{off, n})
	if len(g.asked) > len(g.answers) {
		return nil
	}
	return g.answers[len(g.asked)-1]
}

// testGate: a read that is withheld is asked for again, and what was posted behind
// it waits; one that is refused ends the connection.
func testGate(t *testing.T, b *bench) {
	if !b.b.Has(verbs.CapHandler) {
		t.Skipf("%v has no handlers", b.b)
	}
	none := driver.ErrNoAnswer
	for name, c := range map[string]struct {
		answers []error
		want    verbs.WCStatus
	}{
		"admitted": {nil, verbs.WCSuccess},
		"withheld": {[]error{none, none}, verbs.WCSuccess},
		"never":    {[]error{none, none, none, none, none, none, none, none, none, none}, verbs.WCRetryExcErr},
		"refused":  {[]error{errVault}, verbs.WCRemAccessErr},
	} {
		t.Run(name, func(t *testing.T) {
			o := verbs.DefaultConnectOptions()
			if c.want == verbs.WCRetryExcErr {
				o.AckTimeout = 12 // 17 ms, times the retries, until it gives up
			}
			x, y := b.ends(t, config{connect: o})
			g := &gate{vault: vault{qps: map[driver.QP]bool{}}, answers: c.answers}
			mr := must(y.pd.RegHandler(g, 0, 4096, verbs.AccessAll))(t)
			t.Cleanup(func() { closeAll(t, mr) })
			read, write := x.request(verbs.OpRDMARead, 0, 2000, y, 0), x.request(verbs.OpRDMAWrite, 2000, 8, y, 0)
			read.RemoteAddr, read.RKey = 2048, mr.RKey()
			x.send(read)
			x.send(write)
			if wc := x.wait(1)[0]; wc.Status != c.want {
				t.Fatal(wc.Status)
			}
			want := verbs.WCSuccess
			if c.want != want {
				want = verbs.WCWRFlushErr
			}
			if wc := x.wait(1)[0]; wc.Status != want {
				t.Errorf("the write behind it: %v", wc.Status)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			for _, asked := range g.asked {
				if asked != [2]uint64{2048, 2000} {
					t.Errorf("asked about %d+%d", asked[0], asked[1])
				}
			}
			if c.want == verbs.WCSuccess && len(g.asked) != len(c.answers)+1 {
				t.Errorf("asked %d times", len(g.asked))
			}
		})
	}
}

// testHandler: operations on a registration that a handler answers.
func testHandler(t *testing.T, b *bench) {
	if !b.b.Has(verbs.CapHandler) {
		t.Skipf("%v has no handlers", b.b)
	}
	const iova = 0x10000
	open := func(t *testing.T) (x, y *end, v *vault, try func(op verbs.Opcode, off, n int) verbs.WCStatus) {
		x, y = b.ends(t, config{})
		v = &vault{qps: map[driver.QP]bool{}}
		mr := must(y.pd.RegHandler(v, iova, 4096, verbs.AccessAll))(t)
		t.Cleanup(func() { closeAll(t, mr) })
		try = func(op verbs.Opcode, off, n int) verbs.WCStatus {
			wr := x.request(op, 0, n, y, 0)
			wr.RemoteAddr, wr.RKey, wr.CompareAdd, wr.Swap = iova+uint64(off), mr.RKey(), 7, 9
			x.send(wr)
			return x.wait(1)[0].Status
		}
		return x, y, v, try
	}
	t.Run("allowed", func(t *testing.T) {
		x, _, v, try := open(t)
		fill(x.mr.Bytes(), 3)
		want := bytes.Clone(x.mr.Bytes()[:2000])
		if s := try(verbs.OpRDMAWrite, 2048, 2000); s != verbs.WCSuccess {
			t.Fatal(s)
		}
		clear(x.mr.Bytes())
		if s := try(verbs.OpRDMARead, 2048, 2000); s != verbs.WCSuccess || !bytes.Equal(x.mr.Bytes()[:2000], want) {
			t.Fatalf("%v, or other bytes", s)
		}
		if s := try(verbs.OpAtomicFetchAndAdd, 0, 8); s != verbs.WCSuccess {
			t.Fatal(s)
		}
		if s := try(verbs.OpAtomicCmpAndSwp, 0, 8); s != verbs.WCSuccess {
			t.Fatal(s)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if got := binary.NativeEndian.Uint64(v.mem[:]); got != 9 || len(v.qps) != 1 {
			t.Errorf("the word is %d, %d queue pairs asked", got, len(v.qps))
		}
	})
	for _, op := range []verbs.Opcode{verbs.OpRDMAWrite, verbs.OpRDMARead, verbs.OpAtomicCmpAndSwp, verbs.OpAtomicFetchAndAdd} {
		t.Run("refused "+op.String(), func(t *testing.T) {
			_, _, _, try := open(t)
			if s := try(op, 1024, 8); s != verbs.WCRemAccessErr {
				t.Error(s)
			}
		})
	}
}
