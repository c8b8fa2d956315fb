// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"lazystate/verbs/driver"
)

// Listener waits for connection requests at an address.
type Listener struct {
	object
	dev *Device
	drv driver.Listener
}

// Listen waits at addr, in the port space of TCP. Port 0 is a free one.
//
// Implements:
//
//	int rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *addr)
//	int rdma_listen(struct rdma_cm_id *id, int backlog)
func (d *Device) Listen(addr netip.AddrPort) (*Listener, error) {
	l := &Listener{dev: d}
	if err := l.attach("listener", &d.object); err != nil {
		return nil, err
	}
	cm, err := d.drv.CM()
	if err == nil {
		l.drv, err = cm.Listen(addr, 128)
	}
	if err != nil {
		err = fmt.Errorf("listen at %v: %w", addr, err)
	}
	if err := l.made(0, err); err != nil {
		return nil, err
	}
	return l, nil
}

// Addr returns the address listened at, with its port.
//
// Implements:
//
//	struct sockaddr *rdma_get_local_addr(struct rdma_cm_id *id)
func (l *Listener) Addr() netip.AddrPort { return l.drv.Addr() }

// Accept waits for the next request.
//
// Implements:
//
//	int rdma_get_request(struct rdma_cm_id *listen, struct rdma_cm_id **id)
func (l *Listener) Accept(ctx context.Context) (*Request, error) {
	conn, err := l.drv.Accept(ctx)
	if err != nil {
		return nil, fmt.Errorf("accept at %v: %w", l.Addr(), err)
	}
	r := &Request{dev: l.dev, conn: conn}
	if err := r.attach("connection request", &l.dev.object); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return r, r.made(0, nil)
}

// Close stops listening; requests that were accepted stay.
//
// Implements:
//
//	int rdma_destroy_id(struct rdma_cm_id *id)
func (l *Listener) Close() error { return l.close(l.drv.Close) }

// Request is a peer that wants to connect: Accept or Reject it.
type Request struct {
	object
	dev  *Device
	conn driver.Conn
}

// Param returns what the peer asks for, with its private data.
func (r *Request) Param() ConnParam { return r.conn.Request() }

// Remote returns the peer's address.
//
// Implements:
//
//	struct sockaddr *rdma_get_peer_addr(struct rdma_cm_id *id)
func (r *Request) Remote() netip.AddrPort { return r.conn.Remote() }

// Local returns the address of ours that the peer asked.
//
// Implements:
//
//	struct sockaddr *rdma_get_local_addr(struct rdma_cm_id *id)
func (r *Request) Local() netip.AddrPort { return r.conn.Local() }

// DefaultConnParam returns 16 READs and atomics at once each way, 7 retries and
// RNR retries for ever.
func DefaultConnParam() ConnParam {
	return ConnParam{ResponderResources: 16, InitiatorDepth: 16, RetryCount: 7, RNRRetry: 7}
}

// Accept connects p with the peer and waits until that is ready. The depths
// asked for are cut to the device's and the peer's. p and r are spent, even if
// it fails. A nil param is the default one.
//
// Implements:
//
//	int rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *conn_param)
func (r *Request) Accept(ctx context.Context, p *PreparedQP, param *ConnParam) (*QP, error) {
	cp := depths(r.dev, param)
	req := r.conn.Request()
	cp.ResponderResources = min(cp.ResponderResources, req.InitiatorDepth)
	cp.InitiatorDepth = min(cp.InitiatorDepth, req.ResponderResources)
	qp, _, err := p.join(r.conn, &r.object, func() (ConnParam, error) {
		return ConnParam{}, r.conn.Accept(ctx, p.qp.info.QP, cp)
	})
	if err != nil {
		return nil, fmt.Errorf("accept %v: %w", r.conn.Remote(), err)
	}
	return qp, nil
}

// Reject refuses the peer with up to 148 bytes that tell why.
//
// Implements:
//
//	int rdma_reject(struct rdma_cm_id *id, const void *private_data, uint8_t private_data_len)
func (r *Request) Reject(private []byte) error {
	return r.close(func() error {
		return errors.Join(r.conn.Reject(private), r.conn.Close())
	})
}

// Close drops the request: the peer runs into its time limit. Nothing happens
// after Accept or Reject.
//
// Implements:
//
//	int rdma_destroy_id(struct rdma_cm_id *id)
func (r *Request) Close() error { return r.close(r.conn.Close) }

// Route is a peer whose address was resolved: Connect it.
type Route struct {
	object
	dev  *Device
	conn driver.Conn
}

// Resolve finds the way to remote; local may be the zero Addr.
//
// Implements:
//
//	int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context, enum rdma_port_space ps)
//	int rdma_resolve_addr(struct rdma_cm_id *id, struct sockaddr *src_addr, struct sockaddr *dst_addr, int timeout_ms)
//	int rdma_resolve_route(struct rdma_cm_id *id, int timeout_ms)
func (d *Device) Resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort) (*Route, error) {
	r := &Route{dev: d}
	if err := r.attach("route", &d.object); err != nil {
		return nil, err
	}
	cm, err := d.drv.CM()
	if err == nil {
		r.conn, err = cm.Resolve(ctx, local, remote)
	}
	if err != nil {
		err = fmt.Errorf("resolve %v: %w", remote, err)
	}
	if err := r.made(0, err); err != nil {
		return nil, err
	}
	return r, nil
}

// Connect connects p with the peer and returns what that answered, with its
// private data: *RejectError if it said no. p and r are spent, even if it
// fails. A nil param is the default one.
//
// Implements:
//
//	int rdma_connect(struct rdma_cm_id *id, struct rdma_conn_param *conn_param)
func (r *Route) Connect(ctx context.Context, p *PreparedQP, param *ConnParam) (*QP, ConnParam, error) {
	cp := depths(r.dev, param)
	qp, reply, err := p.join(r.conn, &r.object, func() (ConnParam, error) {
		return r.conn.Connect(ctx, p.qp.info.QP, cp)
	})
	if err != nil {
		return nil, ConnParam{}, fmt.Errorf("connect to %v: %w", r.conn.Remote(), err)
	}
	return qp, reply, nil
}

// Close drops a route that was not connected; else it does nothing.
//
// Implements:
//
//	int rdma_destroy_id(struct rdma_cm_id *id)
func (r *Route) Close() error { return r.close(r.conn.Close) }

func depths(d *Device, param *ConnParam) ConnParam {
	cp := DefaultConnParam()
	if param != nil {
		cp = *param
	}
	cp.ResponderResources = atMost(cp.ResponderResources, d.attr.MaxQPRdAtom)
	cp.InitiatorDepth = atMost(cp.InitiatorDepth, d.attr.MaxQPInitRdAtom)
	return cp
}

// join lets the connection manager connect p over conn; from then on the QP
// owns conn, and from (a Request or Route) is closed without it.
func (p *PreparedQP) join(conn driver.Conn, from *object, connect func() (ConnParam, error)) (*QP, ConnParam, error) {
	if p.qp.tree != from.tree {
		return nil, ConnParam{}, fmt.Errorf("%v is of another device: %w", p.qp, ErrInvalid)
	}
	if err := p.spend(); err != nil {
		return nil, ConnParam{}, err
	}
	taken := false
	from.close(func() error { taken = true; return nil })
	if !taken {
		return nil, ConnParam{}, errors.Join(fmt.Errorf("the %s was used or closed before: %w", from.kind, ErrInvalid), p.qp.Close())
	}
	p.qp.conn = conn
	reply, err := connect()
	if err != nil {
		return nil, ConnParam{}, errors.Join(err, p.qp.Close())
	}
	return p.qp, reply, nil
}
