// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"bytes"
	"errors"
	"testing"

	"lazystate/verbs"
)

// testPosts: what a post takes, and what becomes of the rest of a list.
func testPosts(t *testing.T, b *bench) {
	t.Run("unsignaled", func(t *testing.T) {
		x, y := b.ends(t, config{})
		var wrs []verbs.SendWR
		for i := range 40 {
			wr := x.request(verbs.OpRDMAWrite, 8*i, 8, y, 8*i)
			wr.ID, wr.Flags = uint64(i), 0
			wrs = append(wrs, wr)
		}
		wrs[39].Flags = verbs.SendSignaled
		fill(x.mr.Bytes(), 1)
		x.send(wrs...)
		if wc := x.ok(1); wc[0].ID != 39 {
			t.Errorf("%+v completed, only the last was signaled", wc[0])
		}
		if !bytes.Equal(x.mr.Bytes()[:320], y.mr.Bytes()[:320]) {
			t.Error("the unsignaled writes are not there when the last has completed")
		}
		if n, err := x.cq.Poll(make([]verbs.WC, 4)); n != 0 || err != nil {
			t.Errorf("%d more completions, %v", n, err)
		}
	})
	t.Run("full", func(t *testing.T) {
		x, y := b.ends(t, config{depth: 8})
		wr := x.request(verbs.OpSend, 0, 8, y, 0) // it waits for a receive: rxe has room again before the poll
		room := x.qp.Cap().MaxSendWR
		for i := range room {
			if _, err := x.qp.PostSend(wr); err != nil {
				t.Fatalf("post %d of %d: %v", i, room, err)
			}
		}
		if n, err := x.qp.PostSend(wr, wr); n != 0 || !errors.Is(err, verbs.ErrQueueFull) {
			t.Errorf("a full queue took %d: %v", n, err)
		}
		for range room {
			y.recv(0, 0, 8)
			x.ok(1) // polled: now there is room
		}
		y.recv(0, 0, 8)
		x.send(wr)
		x.ok(1)
	})
	t.Run("bad in a list", func(t *testing.T) {
		x, y := b.ends(t, config{})
		good := x.request(verbs.OpRDMAWrite, 0, 8, y, 0)
		bad := good
		for range x.qp.Cap().MaxSendSGE + 1 {
			bad.SG = append(bad.SG, x.mr.SGE(0, 1))
		}
		n, err := x.qp.PostSend(good, good, bad, good)
		if n != 2 || err == nil || errors.Is(err, verbs.ErrQueueFull) {
			t.Errorf("posted %d: %v", n, err)
		}
		x.ok(2)
		if n, _ := x.cq.Poll(make([]verbs.WC, 4)); n != 0 {
			t.Errorf("what came after the bad one was posted")
		}
	})
	t.Run("receives", func(t *testing.T) {
		x, y := b.ends(t, config{depth: 8})
		room := y.qp.Cap().MaxRecvWR
		for i := range room {
			y.recv(uint64(i), 0, 8)
		}
		if n, err := y.qp.PostRecv(verbs.RecvWR{}); n != 0 || err == nil {
			t.Errorf("a full receive queue took %d: %v", n, err)
		}
		for range room {
			x.send(x.request(verbs.OpSend, 0, 8, y, 0))
			x.ok(1)
		}
		for i, wc := range y.ok(room) {
			if wc.ID != uint64(i) {
				t.Errorf("receive %d came %d.", wc.ID, i)
			}
		}
	})
}

// fast are connection options whose retries end soon: in a second, for what goes
// well before the peer is gone must do so although it has no CPU for a while.
func fast() verbs.ConnectOptions {
	o := verbs.DefaultConnectOptions()
	o.AckTimeout, o.RetryCount = 17, 1
	return o
}

func testRNR(t *testing.T, b *bench) {
	for _, op := range []verbs.Opcode{verbs.OpSend, verbs.OpRDMAWriteWithImm} {
		t.Run("for ever "+op.String(), func(t *testing.T) {
			o := verbs.DefaultConnectOptions()
			o.MinRNRTimer = 1
			x, y := b.ends(t, config{connect: o})
			fill(x.mr.Bytes(), 3)
			for i := range 4 {
				wr := x.request(op, 100*i, 100, y, 100*i)
				wr.ID = uint64(i)
				x.send(wr)
			}
			// Nobody may see a completion while there is no receive: let the
			// peer say so a few times.
			other := x.request(verbs.OpRDMARead, 0, 0, y, 0)
			other.ID = 99
			x.send(other) // behind them: it waits for them
			if n, _ := x.cq.Poll(make([]verbs.WC, 1)); n != 0 {
				t.Fatal("a message without a receive completed")
			}
			for i := range 4 {
				y.recv(uint64(i), 100*i, 100)
			}
			for i, wc := range y.ok(4) {
				if wc.ID != uint64(i) {
					t.Errorf("receive %d came %d.", wc.ID, i)
				}
			}
			x.ok(5)
			if !bytes.Equal(x.mr.Bytes()[:400], y.mr.Bytes()[:400]) {
				t.Error("other bytes came")
			}
		})
		t.Run("finite "+op.String(), func(t *testing.T) {
			if b.Lossy {
				t.Skip("a lost message looks like a peer that is not ready")
			}
			o := verbs.DefaultConnectOptions() // its patience with a peer that says nothing is another
			o.RNRRetry, o.MinRNRTimer = 1, 1
			x, y := b.ends(t, config{connect: o})
			x.send(x.request(op, 0, 8, y, 0), x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
			wc := x.wait(2)
			if wc[0].Status != verbs.WCRNRRetryExcErr || wc[1].Status != verbs.WCWRFlushErr {
				t.Errorf("%v, %v", wc[0].Status, wc[1].Status)
			}
		})
	}
}

func testPSNWrap(t *testing.T, b *bench) {
	for _, psn := range []uint32{1<<24 - 1, 1<<24 - 40, 1<<23 - 20} {
		x, y := b.ends(t, config{psn: psn - 1, memory: 1 << 20, mtu: verbs.MTU256})
		for i := range 12 {
			move(t, x, y, verbs.OpSend, 1000*i, 64, i)
			move(t, x, y, verbs.OpRDMAWrite, 3000*i, 64, 20+i)
			move(t, x, y, verbs.OpRDMARead, 3000*i, 64, 40+i)
			wr := x.request(verbs.OpRDMARead, 0, 8, y, 0)
			if b.b.Attr().Atomics != verbs.AtomicNone {
				wr.Op = verbs.OpAtomicFetchAndAdd
			}
			x.send(wr)
			x.ok(1)
		}
	}
}

// testNobodyThere: the peer's queue pair is gone.
func testNobodyThere(t *testing.T, b *bench) {
	if b.Lossy {
		t.Skip("the last answers may be lost")
	}
	x, y := b.ends(t, config{connect: fast()})
	x.send(x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
	x.ok(1)
	closeAll(t, y.qp)
	for range 3 {
		x.send(x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
	}
	wc := x.wait(3)
	if wc[0].Status != verbs.WCRetryExcErr || wc[1].Status != verbs.WCWRFlushErr || wc[2].Status != verbs.WCWRFlushErr {
		t.Errorf("%v, %v, %v", wc[0].Status, wc[1].Status, wc[2].Status)
	}
}

func testPeerVanishes(t *testing.T, b *bench) {
	if b.Vanish == nil {
		t.Skip("this pair cannot be parted")
	}
	x, y := b.ends(t, config{connect: fast()})
	x.recv(50, 0, 8)
	x.send(x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
	x.ok(1)
	b.Vanish(t, b.b.Driver())
	// Where memory is mapped it may take a moment until that is noticed.
	var wc []verbs.WC
	for len(wc) == 0 || wc[0].Status == verbs.WCSuccess {
		x.send(x.request(verbs.OpRDMARead, 0, 8, y, 0))
		wc = x.wait(1)
	}
	x.send(x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
	wc = append(wc, x.wait(2)...)
	if wc[0].Status != verbs.WCRetryExcErr || wc[1].Status != verbs.WCWRFlushErr || wc[2].Status != verbs.WCWRFlushErr {
		t.Errorf("%v, %v, %v", wc[0].Status, wc[1].Status, wc[2].Status)
	}
}

func testFlush(t *testing.T, b *bench) {
	t.Run("behind an error", func(t *testing.T) {
		x, y := b.ends(t, config{})
		for i := range 5 {
			x.recv(uint64(100+i), 0, 8)
		}
		bad := x.request(verbs.OpRDMAWrite, 0, 8, y, 0)
		bad.ID, bad.RKey = 3, bad.RKey^0x5a5a5a00
		var wrs []verbs.SendWR
		for i := range 8 {
			wr := x.request(verbs.OpRDMAWrite, 0, 8, y, 0)
			wr.ID = uint64(i)
			if i > 3 {
				wr.Flags = 0 // flushed all the same
			}
			wrs = append(wrs, wr)
		}
		wrs[3] = bad
		x.send(wrs...)
		flushed(t, x, x.wait(13), 3, verbs.WCRemAccessErr)
	})
	t.Run("Fail", func(t *testing.T) {
		x, y := b.ends(t, config{})
		for i := range 5 {
			x.recv(uint64(100+i), 0, 8)
		}
		for i := range 3 {
			wr := x.request(verbs.OpSend, 0, 8, y, 0) // without a receive: they wait
			wr.ID = uint64(i)
			x.send(wr)
		}
		if err := x.qp.Fail(); err != nil {
			t.Fatal(err)
		}
		flushed(t, x, x.wait(8), 0, verbs.WCWRFlushErr)
		// What comes later is flushed too.
		x.send(x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
		x.recv(9, 0, 8)
		for _, wc := range x.wait(2) {
			if wc.Status != verbs.WCWRFlushErr {
				t.Errorf("posted in the error state: %v", wc.Status)
			}
		}
		if s := must(x.qp.State())(t); s != verbs.QPError {
			t.Errorf("state %v", s)
		}
	})
}

// flushed looks at completions of sends 0, 1, ... and receives 100, 101, ...:
// those before bad are successes, bad has its status, the rest is flushed.
func flushed(t *testing.T, e *end, wcs []verbs.WC, bad uint64, status verbs.WCStatus) {
	t.Helper()
	next, nextRecv := uint64(0), uint64(100)
	for _, wc := range wcs {
		want := verbs.WCWRFlushErr
		switch {
		case wc.ID >= 100:
			if wc.ID != nextRecv {
				t.Errorf("receive %d before %d", wc.ID, nextRecv)
			}
			nextRecv++
		default:
			if wc.ID != next {
				t.Errorf("send %d before %d", wc.ID, next)
			}
			next++
			if wc.ID < bad {
				want = verbs.WCSuccess
			} else if wc.ID == bad {
				want = status
			}
		}
		if wc.Status != want || wc.QPNum != e.qp.Num() {
			t.Errorf("work request %d of qp %d: %v, want %v", wc.ID, wc.QPNum, wc.Status, want)
		}
	}
}
