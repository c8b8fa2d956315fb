// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"

	"lazystate/verbs/driver"
)

// Connect sends the request, moves the queue pair to RTS when the reply is
// there, and tells the peer so.
//
// Implements:
//
//	int rdma_connect(struct rdma_cm_id *id, struct rdma_conn_param *conn_param);
//	int rdma_init_qp_attr(struct rdma_cm_id *id, struct ibv_qp_attr *qp_attr, int *qp_attr_mask);
//	int rdma_establish(struct rdma_cm_id *id);
func (c *conn) Connect(ctx context.Context, h driver.QP, p driver.ConnParam) (driver.ConnParam, error) {
	reply, err := c.connect(ctx, h, p)
	if err != nil {
		return driver.ConnParam{}, fmt.Errorf("connect to %v: %w", c.remote, err)
	}
	return reply, nil
}

func (c *conn) connect(ctx context.Context, h driver.QP, p driver.ConnParam) (driver.ConnParam, error) {
	q, err := c.take(h, "rdma_connect")
	if err != nil {
		return driver.ConnParam{}, err
	}
	param, err := paramToC(&p, q, driver.MaxRequestPrivate)
	if err != nil {
		return driver.ConnParam{}, err
	}
	if err := c.toInit(q); err != nil {
		return driver.ConnParam{}, err
	}
	err = c.do(func() error {
		ret, err := C.lz_cm_connect(c.id, &param)
		return check("rdma_connect", int(ret), err)
	})
	if err != nil {
		return driver.ConnParam{}, err
	}
	e, err := c.next(ctx)
	if err != nil {
		return driver.ConnParam{}, err
	}
	if e.kind != C.RDMA_CM_EVENT_CONNECT_RESPONSE {
		return driver.ConnParam{}, e.failure("rdma_connect")
	}
	if err := c.toRTS(q, &p); err != nil {
		return driver.ConnParam{}, err
	}
	return e.param, c.do(func() error {
		ret, err := C.rdma_establish(c.id)
		return check("rdma_establish", int(ret), err)
	})
}

// Accept moves the queue pair to RTS, sends the reply and waits until the
// active side is ready.
//
// Implements:
//
//	int rdma_accept(struct rdma_cm_id *id, struct rdma_conn_param *conn_param);
func (c *conn) Accept(ctx context.Context, h driver.QP, p driver.ConnParam) error {
	if err := c.accept(ctx, h, p); err != nil {
		return fmt.Errorf("accept %v: %w", c.remote, err)
	}
	return nil
}

func (c *conn) accept(ctx context.Context, h driver.QP, p driver.ConnParam) error {
	q, err := c.take(h, "rdma_accept")
	if err != nil {
		return err
	}
	// No more at once than the peer answers.
	p.InitiatorDepth = min(p.InitiatorDepth, c.request.ResponderResources)
	param, err := paramToC(&p, q, driver.MaxReplyPrivate)
	if err != nil {
		return err
	}
	if err := c.toInit(q); err != nil {
		return err
	}
	if err := c.toRTS(q, &p); err != nil {
		return err
	}
	err = c.do(func() error {
		ret, err := C.lz_cm_accept(c.id, &param)
		return check("rdma_accept", int(ret), err)
	})
	if err != nil {
		return err
	}
	e, err := c.next(ctx)
	if err != nil {
		return err
	}
	if e.kind != C.RDMA_CM_EVENT_ESTABLISHED {
		return e.failure("rdma_accept")
	}
	return nil
}

// take makes a queue pair this connection's.
func (c *conn) take(h driver.QP, fn string) (*qp, error) {
	q, err := c.m.d.qps.get(fn, uint32(h))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.qp = q
	return q, nil
}

func paramToC(p *driver.ConnParam, q *qp, mostPrivate int) (C.struct_lz_cm_param, error) {
	if len(p.Private) > mostPrivate {
		return C.struct_lz_cm_param{}, fmt.Errorf("%d bytes of private data, at most %d: %w", len(p.Private), mostPrivate, driver.ErrInvalid)
	}
	out := C.struct_lz_cm_param{
		private_len: C.uint8_t(len(p.Private)), qp_num: C.uint32_t(q.num),
		responder_resources: C.uint8_t(p.ResponderResources), initiator_depth: C.uint8_t(p.InitiatorDepth),
		retry_count: C.uint8_t(min(p.RetryCount, 7)), rnr_retry_count: C.uint8_t(min(p.RNRRetry, 7)),
	}
	for i, b := range p.Private {
		out.private_data[i] = C.uint8_t(b)
	}
	if q.srq {
		out.srq = 1
	}
	return out, nil
}

// attr asks the kernel what a queue pair of this connection has in a state.
func (c *conn) attr(state uint32) (a C.struct_ibv_qp_attr, mask driver.QPMask, err error) {
	var m C.int
	a.qp_state = state
	err = c.do(func() error {
		ret, err := C.rdma_init_qp_attr(c.id, &a, &m)
		return check("rdma_init_qp_attr", int(ret), err)
	})
	return a, driver.QPMask(m), err
}

// toInit moves the queue pair to INIT. What a peer may do stays as it was set in
// INIT; to one that is still in RESET all that its registrations allow.
func (c *conn) toInit(q *qp) error {
	a, mask, err := c.attr(C.IBV_QPS_INIT)
	if err != nil {
		return err
	}
	if q.state.Load() == C.IBV_QPS_INIT {
		return q.modify(&a, mask&^driver.QPMaskAccess)
	}
	a.qp_access_flags = C.IBV_ACCESS_LOCAL_WRITE | C.IBV_ACCESS_REMOTE_WRITE | C.IBV_ACCESS_REMOTE_READ | C.IBV_ACCESS_REMOTE_ATOMIC
	return q.modify(&a, mask|driver.QPMaskAccess)
}

// toRTS moves the queue pair from INIT to RTS with what both sides agreed on.
func (c *conn) toRTS(q *qp, p *driver.ConnParam) error {
	a, mask, err := c.attr(C.IBV_QPS_RTR)
	if err != nil {
		return err
	}
	if c.passive { // what it replies; the active side's is from the reply
		a.max_dest_rd_atomic = C.uint8_t(p.ResponderResources)
	}
	a.min_rnr_timer = minRNRTimer
	if err := q.modify(&a, mask); err != nil {
		return fmt.Errorf("queue pair to RTR: %w", err)
	}
	if a, mask, err = c.attr(C.IBV_QPS_RTS); err != nil {
		return err
	}
	if c.passive {
		a.max_rd_atomic = C.uint8_t(p.InitiatorDepth)
	}
	a.timeout = ackTimeout
	if p.AckTimeout != 0 {
		a.timeout = C.uint8_t(p.AckTimeout & 31)
	}
	if err := q.modify(&a, mask); err != nil {
		return fmt.Errorf("queue pair to RTS: %w", err)
	}
	return nil
}
