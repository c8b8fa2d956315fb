// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"sync"
	"sync/atomic"
	"syscall"

	"lazystate/verbs/driver"
)

// qp is a queue pair. Its owner posts to it from one goroutine; the connection
// manager moves its state from another, so that is under a lock.
type qp struct {
	c    *C.struct_ibv_qp
	num  uint32
	typ  driver.QPType
	rxe  bool
	srq  bool
	send *cq
	recv *cq

	mu    sync.Mutex
	gone  bool
	state atomic.Uint32 // driver.QPState as last known, read by posts

	sends sendArena
	recvs recvArena
}

// CreateQP creates a queue pair in the RESET state.
//
// Implements:
//
//	struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *qp_init_attr);
func (d *Device) CreateQP(pd driver.PD, attr *driver.QPInitAttr) (driver.QPInfo, error) {
	const fn = "ibv_create_qp"
	p, err := d.pds.get(fn, uint32(pd))
	if err != nil {
		return driver.QPInfo{}, err
	}
	q := &qp{typ: attr.Type, rxe: d.rxe(), srq: attr.SRQ != 0}
	if q.send, err = d.cqs.get(fn, uint32(attr.SendCQ)); err != nil {
		return driver.QPInfo{}, err
	}
	if q.recv, err = d.cqs.get(fn, uint32(attr.RecvCQ)); err != nil {
		return driver.QPInfo{}, err
	}
	var shared *C.struct_ibv_srq
	if attr.SRQ != 0 {
		s, err := d.srqs.get(fn, uint32(attr.SRQ))
		if err != nil {
			return driver.QPInfo{}, err
		}
		shared = s.c
	}
	h, err := d.qps.reserve(fn)
	if err != nil {
		return driver.QPInfo{}, err
	}
	a := initAttr(attr)
	q.c, err = C.lz_create_qp(p, &a, q.send.c, q.recv.c, shared, C.uintptr_t(h))
	if q.c == nil {
		d.qps.drop(h)
		return driver.QPInfo{}, fail(fn, err)
	}
	q.num = uint32(q.c.qp_num)
	q.send.joined(q)
	q.recv.joined(q)
	d.qps.set(h, q)
	info := driver.QPInfo{QP: driver.QP(h), Num: q.num, Cap: capOf(&a.cap)}
	if _, init, err := q.query(); err == nil { // SoftRoCE rounds the queues up and tells only here
		info.Cap = capOf(&init.cap)
	}
	return info, nil
}

func capOf(c *C.struct_ibv_qp_cap) driver.QPCap {
	return driver.QPCap{
		MaxSendWR: int(c.max_send_wr), MaxRecvWR: int(c.max_recv_wr),
		MaxSendSGE: int(c.max_send_sge), MaxRecvSGE: int(c.max_recv_sge), MaxInline: int(c.max_inline_data),
	}
}

func initAttr(attr *driver.QPInitAttr) C.struct_ibv_qp_init_attr {
	var a C.struct_ibv_qp_init_attr
	a.qp_type = uint32(attr.Type)
	a.cap = C.struct_ibv_qp_cap{
		max_send_wr: C.uint32_t(attr.Cap.MaxSendWR), max_recv_wr: C.uint32_t(attr.Cap.MaxRecvWR),
		max_send_sge: C.uint32_t(attr.Cap.MaxSendSGE), max_recv_sge: C.uint32_t(attr.Cap.MaxRecvSGE),
		max_inline_data: C.uint32_t(attr.Cap.MaxInline),
	}
	if attr.SigAll {
		a.sq_sig_all = 1
	}
	return a
}

// DestroyQP ends a queue pair and drops the completions it still has.
//
// Implements:
//
//	int ibv_destroy_qp(struct ibv_qp *qp);
func (d *Device) DestroyQP(h driver.QP) error {
	q, err := d.qps.get("ibv_destroy_qp", uint32(h))
	if err != nil {
		return err
	}
	if err := q.destroy(); err != nil {
		return err
	}
	d.qps.drop(uint32(h))
	q.send.forget(q.num)
	if q.recv != q.send {
		q.recv.forget(q.num)
	}
	return nil
}

func (q *qp) destroy() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone {
		return invalid("ibv_destroy_qp")
	}
	ret, err := C.ibv_destroy_qp(q.c)
	if err := check("ibv_destroy_qp", int(ret), err); err != nil {
		return err
	}
	q.gone = true
	q.sends.free()
	q.recvs.free()
	return nil
}

// ModifyQP changes what mask names.
//
// Implements:
//
//	int ibv_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask);
func (d *Device) ModifyQP(h driver.QP, attr *driver.QPAttr, mask driver.QPMask) error {
	q, err := d.qps.get("ibv_modify_qp", uint32(h))
	if err != nil {
		return err
	}
	a := toC(attr)
	return q.modify(&a, mask)
}

func (q *qp) modify(a *C.struct_ibv_qp_attr, mask driver.QPMask) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone {
		return invalid("ibv_modify_qp")
	}
	if q.rxe && mask&driver.QPMaskRetry != 0 {
		a.retry_cnt = min(a.retry_cnt, 6) // to SoftRoCE 7 is for ever, as with rnr_retry; to everybody else it is a number
	}
	ret, err := C.ibv_modify_qp(q.c, a, C.int(mask))
	if err := check("ibv_modify_qp", int(ret), err); err != nil {
		return err
	}
	if mask&driver.QPMaskState != 0 {
		q.state.Store(uint32(a.qp_state))
	}
	return nil
}

// fail moves a queue pair, if it is still there, to the error state.
func (q *qp) fail() {
	var a C.struct_ibv_qp_attr
	a.qp_state = C.IBV_QPS_ERR
	q.modify(&a, driver.QPMaskState) // the only error is that it is gone
}

// QueryQP asks the device for the attributes.
//
// Implements:
//
//	int ibv_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int attr_mask, struct ibv_qp_init_attr *init_attr);
func (d *Device) QueryQP(h driver.QP) (driver.QPAttr, error) {
	q, err := d.qps.get("ibv_query_qp", uint32(h))
	if err != nil {
		return driver.QPAttr{}, err
	}
	a, _, err := q.query()
	if err != nil {
		return driver.QPAttr{}, err
	}
	return fromC(&a), nil
}

func (q *qp) query() (a C.struct_ibv_qp_attr, init C.struct_ibv_qp_init_attr, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone {
		return a, init, invalid("ibv_query_qp")
	}
	const all = 1<<21 - 1 // up to IBV_QP_DEST_QPN
	ret, err := C.ibv_query_qp(q.c, &a, all, &init)
	return a, init, check("ibv_query_qp", int(ret), err)
}

func toC(attr *driver.QPAttr) C.struct_ibv_qp_attr {
	return C.struct_ibv_qp_attr{
		qp_state: uint32(attr.State), path_mtu: uint32(attr.PathMTU), qkey: C.uint32_t(attr.QKey),
		rq_psn: C.uint32_t(attr.RQPSN), sq_psn: C.uint32_t(attr.SQPSN), dest_qp_num: C.uint32_t(attr.DestQPN),
		qp_access_flags: C.uint(attr.Access), pkey_index: C.uint16_t(attr.PKeyIndex), port_num: C.uint8_t(attr.Port),
		max_rd_atomic: C.uint8_t(attr.MaxRdAtomic), max_dest_rd_atomic: C.uint8_t(attr.MaxDestRdAtomic),
		min_rnr_timer: C.uint8_t(attr.MinRNRTimer), timeout: C.uint8_t(attr.Timeout),
		retry_cnt: C.uint8_t(attr.RetryCount), rnr_retry: C.uint8_t(attr.RNRRetry), ah_attr: ahToC(&attr.AV),
	}
}

func fromC(a *C.struct_ibv_qp_attr) driver.QPAttr {
	return driver.QPAttr{
		State: driver.QPState(a.qp_state), PathMTU: driver.MTU(a.path_mtu), QKey: uint32(a.qkey),
		RQPSN: uint32(a.rq_psn), SQPSN: uint32(a.sq_psn), DestQPN: uint32(a.dest_qp_num),
		Access: driver.Access(a.qp_access_flags), PKeyIndex: uint16(a.pkey_index), Port: int(a.port_num),
		MaxRdAtomic: uint8(a.max_rd_atomic), MaxDestRdAtomic: uint8(a.max_dest_rd_atomic),
		MinRNRTimer: uint8(a.min_rnr_timer), Timeout: uint8(a.timeout),
		RetryCount: uint8(a.retry_cnt), RNRRetry: uint8(a.rnr_retry), AV: ahFromC(&a.ah_attr),
	}
}

// completedBadly is told of a completion with an error: the queue pair has gone
// to the error state by itself. What was posted to SoftRoCE since then lies in
// its receive queue, at which it does not look any more.
func (q *qp) completedBadly() {
	if q.typ == driver.RC && q.state.Swap(uint32(driver.QPError)) != uint32(driver.QPError) {
		q.flush()
	}
}

// flush makes SoftRoCE flush receives posted in the error state.
func (q *qp) flush() {
	if q.rxe && !q.srq {
		q.fail()
	}
}

// mayPost looks at the state that a post needs.
func (q *qp) mayPost(fn string, from driver.QPState) error {
	if driver.QPState(q.state.Load()) < from {
		return &Error{fn, syscall.EINVAL}
	}
	return nil
}
