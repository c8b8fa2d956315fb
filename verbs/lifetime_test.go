// SPDX-License-Identifier: Apache-2.0

package verbs_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/verbs"
	"lazystate/verbs/driver"
	"lazystate/verbs/mem"
	"lazystate/verbs/verbstest"
)

func TestMain(m *testing.M) { verbstest.Main(m) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

type closer interface{ Close() error }

func closeAll(t testing.TB, cs ...closer) {
	t.Helper()
	for _, c := range cs {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func device(t testing.TB) *verbs.Device {
	d := verbs.New(mem.NewNetwork(mem.Faults{}).Device())
	t.Cleanup(func() { closeAll(t, d) })
	return d
}

var small = verbs.QPCap{MaxSendWR: 4, MaxRecvWR: 4, MaxSendSGE: 1, MaxRecvSGE: 1}

// family is one object of each kind, made of one another.
type family struct {
	dev *verbs.Device
	pd  *verbs.PD
	ch  *verbs.CompChannel
	cq  *verbs.CQ
	srq *verbs.SRQ
	mr  *verbs.MR
	mw  *verbs.MW
	qp  *verbs.PreparedQP
}

func newFamily(t *testing.T) *family {
	f := &family{dev: device(t)}
	f.pd = must(f.dev.AllocPD())(t)
	f.ch = must(f.dev.CreateCompChannel())(t)
	f.cq = must(f.dev.CreateCQ(16, f.ch))(t)
	f.srq = must(f.pd.CreateSRQ(4, 1))(t)
	f.mr = must(f.pd.AllocMR(4096, verbs.AccessAll))(t)
	f.mw = must(f.pd.AllocMW())(t)
	f.qp = must(f.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: f.cq, SRQ: f.srq, Cap: small}))(t)
	return f
}

func TestParentsOutliveTheirChildren(t *testing.T) {
	f := newFamily(t)
	qp := f.qp.Num()
	for _, c := range []struct {
		parent   closer
		children []string
	}{
		{f.dev, []string{"channel 1", "cq 1", "pd 1"}},
		{f.pd, []string{"mr 1", "mw 1", "qp N", "srq 1"}},
		{f.cq, []string{"qp N"}},
		{f.srq, []string{"qp N"}},
		{f.ch, []string{"cq 1"}},
	} {
		var busy *verbs.BusyError
		if err := c.parent.Close(); !errors.As(err, &busy) {
			t.Fatalf("close %T with children: %v", c.parent, err)
		}
		for i, k := range busy.Children {
			if strings.HasPrefix(k, "qp ") {
				busy.Children[i] = "qp N"
			}
		}
		if diff := cmp.Diff(c.children, busy.Children); diff != "" {
			t.Errorf("%v (qp %d): -want +got\n%s", busy, qp, diff)
		}
	}
	closeAll(t, f.qp, f.mw, f.mr, f.srq, f.cq, f.ch, f.pd, f.dev)
	closeAll(t, f.qp, f.mw, f.mr, f.srq, f.cq, f.ch, f.pd, f.dev) // again: nothing happens
}

func TestNothingIsMadeOfWhatIsClosed(t *testing.T) {
	f := newFamily(t)
	closeAll(t, f.qp, f.mw, f.mr, f.srq, f.cq, f.ch, f.pd)
	calls := map[string]func() error{
		"mr":   func() error { _, err := f.pd.AllocMR(10, verbs.AccessLocalWrite); return err },
		"mw":   func() error { _, err := f.pd.AllocMW(); return err },
		"srq":  func() error { _, err := f.pd.CreateSRQ(1, 1); return err },
		"qp":   func() error { _, err := f.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: f.cq}); return err },
		"cq":   func() error { _, err := f.dev.CreateCQ(1, f.ch); return err },
		"poll": func() error { _, err := f.cq.Poll(make([]verbs.WC, 1)); return err },
		"arm":  func() error { return f.cq.Arm(false) },
		"wait": func() error { _, err := f.cq.Wait(t.Context(), make([]verbs.WC, 1)); return err },
		"recv": func() error { _, err := f.qp.PostRecv(verbs.RecvWR{}); return err },
		"srqrecv": func() error {
			_, err := f.srq.PostRecv(verbs.RecvWR{})
			return err
		},
		"connect": func() error { _, err := f.qp.Connect(verbs.Endpoint{}, nil); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, verbs.ErrClosed) && !(name == "connect" && errors.Is(err, verbs.ErrInvalid)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestObjectsOfTwoDevicesDoNotMix(t *testing.T) {
	f, g := newFamily(t), newFamily(t)
	if _, err := f.pd.PrepareQP(&verbs.QPInitAttr{SendCQ: g.cq, Cap: small}); !errors.Is(err, verbs.ErrInvalid) {
		t.Errorf("a queue pair that completes to another device: %v", err)
	}
	closeAll(t, f.qp, f.mw, f.mr, f.srq, f.cq, f.ch, f.pd, g.qp, g.mw, g.mr, g.srq, g.cq, g.ch, g.pd)
}

// Two goroutines, one that makes children and one that closes the parent:
// never is a child left that has no parent.
func TestCloseAgainstCreate(t *testing.T) {
	for range 200 {
		d := verbs.New(mem.NewNetwork(mem.Faults{}).Device())
		pd := must(d.AllocPD())(t)
		made := make(chan *verbs.MR)
		go func() {
			mr, err := pd.AllocMR(4096, verbs.AccessLocalWrite)
			if err != nil && !errors.Is(err, verbs.ErrClosed) {
				t.Error(err)
			}
			made <- mr
		}()
		err := pd.Close()
		mr := <-made
		if mr != nil {
			var busy *verbs.BusyError
			if err != nil && !errors.As(err, &busy) {
				t.Fatal(err)
			}
			if err == nil {
				t.Fatal("closed while a child was made")
			}
			closeAll(t, mr)
		}
		closeAll(t, pd, d)
	}
}

func TestLeaksSayWhere(t *testing.T) {
	d := device(t)
	pd := must(d.AllocPD())(t)
	leaks := verbs.Leaks()
	last := leaks[len(leaks)-1].String()
	if !strings.Contains(last, "pd 1") || !strings.Contains(last, "TestLeaksSayWhere") || !strings.Contains(last, "lifetime_test.go") {
		t.Errorf("the report does not say what was made where:\n%s", last)
	}
	if strings.Contains(strings.SplitN(last, "\n", 3)[1], "object") {
		t.Errorf("the stack begins inside package verbs' own bookkeeping:\n%s", last)
	}
	before := len(leaks)
	closeAll(t, pd)
	if n := len(verbs.Leaks()); n != before-1 {
		t.Errorf("%d objects open after a close of %d", n, before)
	}
}

func TestEventsEndWithTheDevice(t *testing.T) {
	d := verbs.New(mem.NewNetwork(mem.Faults{}).Device())
	done := make(chan error)
	go func() { _, err := d.NextEvent(context.Background()); done <- err }()
	time.Sleep(time.Millisecond) // so that it mostly waits; either way it must end
	closeAll(t, d)
	if err := <-done; !errors.Is(err, verbs.ErrClosed) {
		t.Errorf("wait for an event of a closed device: %v", err)
	}
}

func TestAQueueWithoutRoomSaysSo(t *testing.T) {
	d := device(t)
	cq := must(d.CreateCQ(2, nil))(t)
	pd := must(d.AllocPD())(t)
	p := must(pd.PrepareQP(&verbs.QPInitAttr{SendCQ: cq, Cap: small}))(t)
	qp := must(p.Connect(p.Endpoint(), nil))(t) // with itself
	mr := must(pd.AllocMR(64, verbs.AccessAll))(t)
	wr := verbs.SendWR{Op: verbs.OpRDMAWrite, Flags: verbs.SendSignaled, SG: []verbs.SGE{mr.SGE(0, 8)}, RemoteAddr: mr.Addr() + 8, RKey: mr.RKey()}
	if err := qp.Fail(); err != nil {
		t.Fatal(err)
	}
	if _, err := qp.PostSend(wr, wr, wr); err != nil {
		t.Fatal(err)
	}
	e := must(d.NextEvent(t.Context()))(t)
	if e.Type != driver.EventCQErr || e.CQ != cq {
		t.Errorf("three completions in a queue of two: %v of %v", e.Type, e.CQ)
	}
	wc := make([]verbs.WC, 4)
	if n, err := cq.Poll(wc); n != 2 || err != nil {
		t.Errorf("%d completions, %v", n, err)
	}
	if _, err := cq.Poll(wc); err == nil {
		t.Error("nobody learns that completions were lost")
	}
	closeAll(t, qp, mr, pd, cq)
}
