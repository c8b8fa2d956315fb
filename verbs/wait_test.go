// SPDX-License-Identifier: Apache-2.0

package verbs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"lazystate/verbs"
	"lazystate/verbs/driver"
	"lazystate/verbs/mem"
	"lazystate/verbs/verbstest"
)

// plain hides that a device can wait by itself: CQ.Wait goes by the channel.
type plain struct{ driver.Device }

func TestConformanceOverChannels(t *testing.T) {
	verbstest.Run(t, verbstest.Pair{Open: func(*testing.T) (a, b driver.Device) {
		n := mem.NewNetwork(mem.Faults{})
		return plain{n.Device()}, plain{n.Device()}
	}})
}

// loop is a queue pair that is connected with itself, and its queue.
type loop struct {
	cq *verbs.CQ
	qp *verbs.QP
}

func (l *loop) post(t testing.TB) {
	if _, err := l.qp.PostSend(verbs.SendWR{Op: verbs.OpRDMAWrite, Flags: verbs.SendSignaled}); err != nil {
		t.Error(err)
	}
}

func newLoop(t testing.TB, pd *verbs.PD, ch *verbs.CompChannel) *loop {
	cq := must(pd.Device().CreateCQ(64, ch))(t)
	cap := small
	cap.MaxSendWR = 64
	p := must(pd.PrepareQP(&verbs.QPInitAttr{SendCQ: cq, Cap: cap}))(t)
	l := &loop{cq, must(p.Connect(p.Endpoint(), nil))(t)}
	t.Cleanup(func() { closeAll(t, l.qp, l.cq) })
	return l
}

func plainDomain(t testing.TB) (*verbs.PD, *verbs.CompChannel) {
	d := verbs.New(plain{mem.NewNetwork(mem.Faults{}).Device()})
	pd := must(d.AllocPD())(t)
	ch := must(d.CreateCompChannel())(t)
	t.Cleanup(func() { closeAll(t, ch, pd, d) })
	return pd, ch
}

// Many queues report to one channel; who reads an event that is another's
// hands it on.
func TestManyQueuesOfOneChannel(t *testing.T) {
	pd, ch := plainDomain(t)
	var wg sync.WaitGroup
	for range 8 {
		l := newLoop(t, pd, ch)
		wg.Go(func() {
			wc := make([]verbs.WC, 4)
			for range 300 {
				l.post(t)
				if n, err := l.cq.Wait(t.Context(), wc); n != 1 || err != nil {
					t.Errorf("%d completions, %v", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestNextBesideWait(t *testing.T) {
	pd, ch := plainDomain(t)
	byNext, byWait := newLoop(t, pd, ch), newLoop(t, pd, ch)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := byWait.cq.Wait(ctx, make([]verbs.WC, 1)) // reads the channel, for long
		done <- err
	}()
	for range 100 {
		if err := byNext.cq.Arm(false); err != nil {
			t.Fatal(err)
		}
		byNext.post(t)
		if cq := must(ch.Next(t.Context()))(t); cq != byNext.cq {
			t.Fatalf("an event of %v", cq)
		}
		if n, err := byNext.cq.Poll(make([]verbs.WC, 4)); n != 1 || err != nil {
			t.Fatalf("%d completions, %v", n, err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the other's wait: %v", err)
	}
}

// A second waiter gets the queue when the first one's context ends.
func TestWaitersTakeTurns(t *testing.T) {
	pd, ch := plainDomain(t)
	l := newLoop(t, pd, ch)
	first, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	wait := func(ctx context.Context) {
		n, err := l.cq.Wait(ctx, make([]verbs.WC, 1))
		if n == 1 {
			err = nil
		}
		done <- err
	}
	go wait(first)
	time.Sleep(time.Millisecond) // so that it mostly is the first
	go wait(t.Context())
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	l.post(t)
	if err := <-done; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestWaitNeedsAChannel(t *testing.T) {
	pd, _ := plainDomain(t)
	l := newLoop(t, pd, nil)
	if l.cq.Waits() {
		t.Error("it says that it can wait")
	}
	if _, err := l.cq.Wait(t.Context(), make([]verbs.WC, 1)); !errors.Is(err, verbs.ErrInvalid) {
		t.Error(err)
	}
}

// Post and wait of one operation, without allocations of package verbs.
func BenchmarkLoop(b *testing.B) {
	d := verbs.New(mem.NewNetwork(mem.Faults{}).Device())
	pd := must(d.AllocPD())(b)
	b.Cleanup(func() { closeAll(b, pd, d) })
	l := newLoop(b, pd, nil)
	wrs := []verbs.SendWR{{Op: verbs.OpRDMAWrite, Flags: verbs.SendSignaled}}
	wc := make([]verbs.WC, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.qp.PostSend(wrs...); err != nil {
			b.Fatal(err)
		}
		if _, err := l.cq.Wait(b.Context(), wc); err != nil {
			b.Fatal(err)
		}
	}
}
