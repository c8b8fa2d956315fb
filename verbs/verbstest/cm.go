// SPDX-License-Identifier: Apache-2.0

package verbstest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"lazystate/verbs"
	"lazystate/verbs/driver"
)

func testCM(t *testing.T, b *bench) {
	b.need(t, verbs.CapCM, "connection manager")
	t.Run("connect", func(t *testing.T) { testConnect(t, b) })
	t.Run("private data", func(t *testing.T) { testPrivate(t, b) })
	t.Run("reject", func(t *testing.T) { testReject(t, b) })
	t.Run("nobody listens", func(t *testing.T) { testNobodyListens(t, b) })
	t.Run("no answer", func(t *testing.T) { testNoAnswer(t, b) })
	t.Run("disconnect", func(t *testing.T) { testDisconnect(t, b) })
	t.Run("reconnect", func(t *testing.T) { testReconnect(t, b) })
	t.Run("closed listener", func(t *testing.T) { testClosedListener(t, b) })
}

// listen listens at b, at the address that a can dial.
func (b *bench) listen(t *testing.T) *verbs.Listener {
	t.Helper()
	addr := b.Listen
	if !addr.IsValid() {
		c := config{}
		c.defaults()
		probe := b.newEnd(t, b.b, c, verbs.AccessAll)
		addr = netip.AddrPortFrom(probe.prepared.Endpoint().GID.Addr(), 0)
	}
	l := must(b.b.Listen(addr))(t)
	t.Cleanup(func() { closeAll(t, l) })
	if !l.Addr().Addr().IsValid() || l.Addr().Port() == 0 {
		t.Fatalf("listening at %v", l.Addr())
	}
	return l
}

// answered is what became of one dial at the listener's side.
type answered struct {
	err error
	qp  *verbs.QP
	req verbs.ConnParam
}

// dial connects new ends over l; answer is called with the request and y.
func (b *bench) dial(t *testing.T, l *verbs.Listener, param *verbs.ConnParam,
	answer func(*verbs.Request, *end) (*verbs.QP, error),
) (x, y *end, reply verbs.ConnParam, got answered, err error) {
	t.Helper()
	c := config{}
	c.defaults()
	x, y = b.newEnd(t, b.a, c, verbs.AccessAll), b.newEnd(t, b.b, c, verbs.AccessAll)
	accepted := make(chan answered, 1)
	go func() {
		req, err := l.Accept(b.ctx)
		if err != nil {
			accepted <- answered{err: err}
			return
		}
		a := answered{req: req.Param()}
		a.qp, a.err = answer(req, y)
		accepted <- a
	}()
	route := must(b.a.Resolve(b.ctx, netip.Addr{}, l.Addr()))(t)
	x.qp, reply, err = route.Connect(b.ctx, x.prepared, param)
	got = <-accepted
	y.qp = got.qp
	return x, y, reply, got, err
}

func (b *bench) accept(p *verbs.ConnParam) func(*verbs.Request, *end) (*verbs.QP, error) {
	return func(r *verbs.Request, y *end) (*verbs.QP, error) { return r.Accept(b.ctx, y.prepared, p) }
}

// connected dials and fails the test if that fails.
func (b *bench) connected(t *testing.T, l *verbs.Listener) (x, y *end) {
	t.Helper()
	x, y, _, got, err := b.dial(t, l, nil, b.accept(nil))
	if err != nil || got.err != nil {
		t.Fatalf("dial: %v; accept: %v", err, got.err)
	}
	return x, y
}

func testConnect(t *testing.T, b *bench) {
	x, y := b.connected(t, b.listen(t))
	for i, op := range []verbs.Opcode{verbs.OpSend, verbs.OpRDMAWrite, verbs.OpRDMARead} {
		move(t, x, y, op, 10_000, 64, i)
		move(t, y, x, op, 10_000, 64, 10+i)
	}
}

// testPrivate: 56 bytes go out, 196 come back, more are refused at once. What
// travels is as long as the message's field: what follows the data is zero.
func testPrivate(t *testing.T, b *bench) {
	l := b.listen(t)
	for _, n := range []struct{ out, back int }{{0, 0}, {1, 3}, {driver.MaxRequestPrivate, driver.MaxReplyPrivate}} {
		ask, say := verbs.DefaultConnParam(), verbs.DefaultConnParam()
		ask.Private, say.Private = make([]byte, n.out), make([]byte, n.back)
		fill(ask.Private, 1)
		fill(say.Private, 2)
		_, _, reply, got, err := b.dial(t, l, &ask, b.accept(&say))
		if err != nil || got.err != nil {
			t.Fatalf("%+v bytes: dial: %v; accept: %v", n, err, got.err)
		}
		if !padded(got.req.Private, ask.Private) {
			t.Errorf("asked with %x, arrived %x", ask.Private, got.req.Private)
		}
		if !padded(reply.Private, say.Private) {
			t.Errorf("answered with %x, arrived %x", say.Private, reply.Private)
		}
	}
	c := config{}
	c.defaults()
	x := b.newEnd(t, b.a, c, verbs.AccessAll)
	ask := verbs.DefaultConnParam()
	ask.Private = make([]byte, driver.MaxRequestPrivate+1)
	route := must(b.a.Resolve(b.ctx, netip.Addr{}, l.Addr()))(t)
	if _, _, err := route.Connect(b.ctx, x.prepared, &ask); !errors.Is(err, verbs.ErrInvalid) {
		t.Errorf("%d bytes of private data: %v", len(ask.Private), err)
	}
}

// padded reports whether got is want, with zeros behind it at most.
func padded(got, want []byte) bool {
	rest, ok := bytes.CutPrefix(got, want)
	return ok && len(bytes.Trim(rest, "\x00")) == 0
}

func testReject(t *testing.T, b *bench) {
	why := make([]byte, driver.MaxRejectPrivate)
	fill(why, 9)
	x, _, _, got, err := b.dial(t, b.listen(t), nil, func(r *verbs.Request, _ *end) (*verbs.QP, error) { return nil, r.Reject(why) })
	var re *verbs.RejectError
	if got.err != nil || !errors.As(err, &re) || re.Reason != driver.RejectConsumer || !padded(re.Private, why) {
		t.Errorf("reject: %v; dial: %v (%+v)", got.err, err, re)
	}
	if x.qp != nil {
		t.Error("a rejected dial has a queue pair")
	}
}

func testNobodyListens(t *testing.T, b *bench) {
	l := b.listen(t)
	addr := l.Addr()
	closeAll(t, l)
	c := config{}
	c.defaults()
	x := b.newEnd(t, b.a, c, verbs.AccessAll)
	route := must(b.a.Resolve(b.ctx, netip.Addr{}, addr))(t)
	_, _, err := route.Connect(b.ctx, x.prepared, nil)
	var re *verbs.RejectError
	if !errors.As(err, &re) || re.Reason != driver.RejectInvalidServiceID {
		t.Errorf("dial %v: %v", addr, err)
	}
}

// testNoAnswer: the listener takes the request and says nothing.
func testNoAnswer(t *testing.T, b *bench) {
	l := b.listen(t)
	c := config{}
	c.defaults()
	x := b.newEnd(t, b.a, c, verbs.AccessAll)
	route := must(b.a.Resolve(b.ctx, netip.Addr{}, l.Addr()))(t)
	ctx, cancel := context.WithTimeout(b.ctx, 200*time.Millisecond)
	defer cancel()
	held := make(chan *verbs.Request, 1)
	go func() {
		req, _ := l.Accept(ctx) // may have come too late
		held <- req
	}()
	start := time.Now()
	_, _, err := route.Connect(ctx, x.prepared, nil)
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, verbs.ErrUnreachable) {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if req := <-held; req != nil {
		closeAll(t, req)
	}
}

// testDisconnect: either side ends the connection, the other is told and what
// it has posted is flushed.
func testDisconnect(t *testing.T, b *bench) {
	l := b.listen(t)
	for _, who := range []string{"active", "passive"} {
		t.Run(who, func(t *testing.T) {
			x, y := b.connected(t, l)
			if who == "passive" {
				x, y = y, x
			}
			y.recv(7, 0, 8)
			select {
			case <-y.qp.Done():
				t.Fatal("it has not disconnected yet")
			default:
			}
			if err := x.qp.Disconnect(b.ctx); err != nil {
				t.Fatal(err)
			}
			for _, e := range []*end{x, y} {
				select {
				case <-e.qp.Done():
				case <-b.ctx.Done():
					t.Fatal("nobody told")
				}
			}
			if wc := y.wait(1)[0]; wc.Status != verbs.WCWRFlushErr {
				t.Error(wc.Status)
			}
			if s := must(y.qp.State())(t); s != verbs.QPError {
				t.Errorf("state %v", s)
			}
		})
	}
}

func testReconnect(t *testing.T, b *bench) {
	l := b.listen(t)
	for i := range 10 {
		x, y := b.connected(t, l)
		move(t, x, y, verbs.OpRDMAWrite, 3000, 64, i)
		if i%2 == 0 { // else the queue pairs are closed without a word
			if err := x.qp.Disconnect(b.ctx); err != nil {
				t.Fatal(err)
			}
		}
		closeAll(t, x.qp, y.qp)
	}
}

func testClosedListener(t *testing.T, b *bench) {
	l := b.listen(t)
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept(b.ctx)
		done <- err
	}()
	time.Sleep(5 * time.Millisecond) // so that it mostly waits; either way it must end
	closeAll(t, l)
	if err := <-done; !errors.Is(err, verbs.ErrClosed) {
		t.Errorf("accept at a closed listener: %v", err)
	}
}
