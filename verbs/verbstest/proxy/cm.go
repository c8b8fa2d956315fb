// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"net/netip"

	"lazystate/verbs/driver"
)

// cm is the connection manager over there.
type cm struct{ d *Device }

// CM returns it.
func (d *Device) CM() (driver.CM, error) {
	if d.attr.Caps&driver.CapCM == 0 {
		return nil, driver.ErrNotSupported
	}
	return cm{d}, nil
}

type listener struct {
	d    *Device
	id   uint32
	addr netip.AddrPort
}

func (c cm) Listen(local netip.AddrPort, backlog int) (driver.Listener, error) {
	l := &listener{d: c.d}
	if err := c.d.do(context.Background(), "Listen", []any{local, backlog}, &l.id, &l.addr); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *listener) Addr() netip.AddrPort { return l.addr }
func (l *listener) Close() error         { return l.d.do(context.Background(), "CloseListener", []any{l.id}) }

func (l *listener) Accept(ctx context.Context) (driver.Conn, error) {
	return l.d.conn(ctx, "Accept", l.id)
}

func (c cm) Resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort) (driver.Conn, error) {
	return c.d.conn(ctx, "Resolve", local, remote)
}

// conn is a connection over there.
type conn struct {
	d      *Device
	call   call
	done   chan struct{}
	cancel context.CancelFunc
}

func (d *Device) conn(ctx context.Context, method string, args ...any) (driver.Conn, error) {
	c := &conn{d: d, done: make(chan struct{})}
	if err := d.do(ctx, method, args, &c.call); err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(context.Background())
	go func() {
		if d.do(ctx, "Ended", []any{c.call.ID}) == nil {
			close(c.done)
		}
	}()
	return c, nil
}

func (c *conn) Local() netip.AddrPort     { return c.call.Local }
func (c *conn) Remote() netip.AddrPort    { return c.call.Remote }
func (c *conn) Request() driver.ConnParam { return c.call.Request }
func (c *conn) Done() <-chan struct{}     { return c.done }

func (c *conn) Connect(ctx context.Context, qp driver.QP, p driver.ConnParam) (reply driver.ConnParam, err error) {
	err = c.d.do(ctx, "Dial", []any{c.call.ID, qp, p}, &reply)
	return reply, err
}

func (c *conn) Accept(ctx context.Context, qp driver.QP, p driver.ConnParam) error {
	return c.d.do(ctx, "Answer", []any{c.call.ID, qp, p})
}

func (c *conn) Reject(private []byte) error {
	return c.d.do(context.Background(), "Reject", []any{c.call.ID, private})
}

func (c *conn) Disconnect(ctx context.Context) error {
	return c.d.do(ctx, "Disconnect", []any{c.call.ID})
}

func (c *conn) Close() error {
	defer c.cancel()
	return c.d.do(context.Background(), "HangUp", []any{c.call.ID})
}
