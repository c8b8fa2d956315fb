// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"lazystate/verbs"
)

func testChannel(t *testing.T, b *bench) {
	t.Run("event", func(t *testing.T) { testEvents(t, b) })
	t.Run("solicited", func(t *testing.T) { testSolicited(t, b) })
	t.Run("arming race", func(t *testing.T) { testArmingRace(t, b) })
	t.Run("wait ends with its context", func(t *testing.T) { testWaitEnds(t, b) })
}

// testEvents: an armed queue reports once, an unarmed one never.
func testEvents(t *testing.T, b *bench) {
	x, y := b.ends(t, config{})
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	if err := x.cq.Arm(false); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		x.send(x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
	}
	if cq := must(x.ch.Next(ctx))(t); cq != x.cq {
		t.Fatalf("an event of %v", cq)
	}
	pollAll(t, x, 3)
	// Nothing was armed since: an event would be one too many.
	x.send(x.request(verbs.OpRDMAWrite, 0, 8, y, 0))
	pollAll(t, x, 1)
	timeout, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if cq, err := x.ch.Next(timeout); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an event of %v (%v), nothing was armed", cq, err)
	}
}

// pollAll polls until n completions came: it does not arm.
func pollAll(t *testing.T, e *end, n int) {
	t.Helper()
	wc := make([]verbs.WC, n)
	for n > 0 {
		k, err := e.cq.Poll(wc[:n])
		if err != nil || e.ctx.Err() != nil {
			t.Fatalf("%d completions are missing: %v", n, err)
		}
		for i := range k {
			if err := wc[i].Err(); err != nil {
				t.Fatal(err)
			}
		}
		if n -= k; k == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

func testSolicited(t *testing.T, b *bench) {
	x, y := b.ends(t, config{})
	for i := range 3 {
		y.recv(uint64(i), 0, 8)
	}
	if err := y.cq.Arm(true); err != nil {
		t.Fatal(err)
	}
	x.send(x.request(verbs.OpSend, 0, 8, y, 0))
	pollAll(t, y, 1)
	timeout, cancel := context.WithTimeout(b.ctx, 50*time.Millisecond)
	defer cancel()
	if cq, err := y.ch.Next(timeout); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an event of %v (%v), the message was not solicited", cq, err)
	}
	wr := x.request(verbs.OpSend, 0, 8, y, 0)
	wr.Flags |= verbs.SendSolicited
	x.send(wr)
	if cq := must(y.ch.Next(b.ctx))(t); cq != y.cq {
		t.Errorf("an event of %v", cq)
	}
	pollAll(t, y, 1)
	x.ok(2)
}

// testArmingRace: completions that come between a poll and the arming after it
// must not be slept over.
func testArmingRace(t *testing.T, b *bench) {
	x, y := b.ends(t, config{depth: 16})
	rounds := 3000
	if b.Slow {
		rounds = 300
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			if _, err := y.qp.PostRecv(verbs.RecvWR{}); err != nil {
				t.Error(err)
				return
			}
			if !succeed(t, y, 1) {
				return
			}
		}
	}()
	for range rounds {
		x.send(x.request(verbs.OpSend, 0, 0, y, 0))
		x.waitAtChannel()
	}
	<-done
}

// waitAtChannel takes one success by poll, arm, poll, event: CQ.Wait would let
// a device wait that can.
func (e *end) waitAtChannel() {
	e.t.Helper()
	var wc [1]verbs.WC
	for armed := false; ; armed = !armed {
		n, err := e.cq.Poll(wc[:])
		switch {
		case err == nil && n == 1:
			err = wc[0].Err()
		case err == nil && !armed:
			err = e.cq.Arm(false)
		case err == nil:
			_, err = e.ch.Next(e.ctx)
		}
		if err != nil {
			e.t.Fatal(err)
		}
		if n == 1 {
			return
		}
	}
}

func testWaitEnds(t *testing.T, b *bench) {
	x, _ := b.ends(t, config{})
	for range 3 {
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Millisecond)
		if n, err := x.cq.Wait(ctx, make([]verbs.WC, 1)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d completions, %v", n, err)
		}
		cancel()
	}
	closed := make(chan error, 1)
	cq := must(x.dev.CreateCQ(8, x.ch))(t)
	go func() {
		_, err := cq.Wait(b.ctx, make([]verbs.WC, 1))
		closed <- err
	}()
	time.Sleep(5 * time.Millisecond) // so that it mostly waits; either way it must end
	closeAll(t, cq)
	if err := <-closed; !errors.Is(err, verbs.ErrClosed) {
		t.Errorf("the queue was closed: %v", err)
	}
}
