// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
#cgo noescape lz_poll_cq
#cgo nocallback lz_poll_cq
*/
import "C"

import (
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// cq is a completion queue and the completions that were taken off it while a
// queue pair was destroyed.
type cq struct {
	c     *C.struct_ibv_cq
	depth int
	rxe   bool // of a SoftRoCE device

	mu   sync.Mutex
	kept []driver.WC
	qps  map[uint32]*qp // that complete here, by number
}

// rxe reports whether the device is SoftRoCE: RXE_VENDOR_ID of the kernel.
func (d *Device) rxe() bool { return d.attr.VendorID == 0xffffff }

// CreateChannel makes a completion channel. Its descriptor stays C's: poll a
// duplicate if the poller closes what it polls.
//
// Implements:
//
//	struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *context);
func (d *Device) CreateChannel() (driver.Channel, int, error) {
	ch, err := C.ibv_create_comp_channel(d.ctx)
	if ch == nil {
		return 0, -1, fail("ibv_create_comp_channel", err)
	}
	fd := int(ch.fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		C.ibv_destroy_comp_channel(ch)
		return 0, -1, err
	}
	h, err := d.channels.add("ibv_create_comp_channel", ch)
	return driver.Channel(h), fd, err
}

// DestroyChannel ends a channel that no completion queue uses.
//
// Implements:
//
//	int ibv_destroy_comp_channel(struct ibv_comp_channel *channel);
func (d *Device) DestroyChannel(h driver.Channel) error {
	ch, err := d.channels.get("ibv_destroy_comp_channel", uint32(h))
	if err != nil {
		return err
	}
	ret, err := C.ibv_destroy_comp_channel(ch)
	if err := check("ibv_destroy_comp_channel", int(ret), err); err != nil {
		return err
	}
	d.channels.drop(uint32(h))
	return nil
}

// NextCQ takes one event off a channel.
//
// Implements:
//
//	int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context);
//	void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int nevents);
func (d *Device) NextCQ(h driver.Channel) (driver.CQ, error) {
	ch, err := d.channels.get("ibv_get_cq_event", uint32(h))
	if err != nil {
		return 0, err
	}
	var handle C.uintptr_t
	errno := syscall.Errno(C.lz_next_cq(ch, &handle))
	switch errno {
	case 0:
		return driver.CQ(handle), nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, &Error{"ibv_get_cq_event", errno}
}

// CreateCQ creates a completion queue; ch may be 0.
//
// Implements:
//
//	struct ibv_cq *ibv_create_cq(struct ibv_context *context, int cqe, void *cq_context, struct ibv_comp_channel *channel, int comp_vector);
func (d *Device) CreateCQ(depth int, ch driver.Channel) (driver.CQ, error) {
	const fn = "ibv_create_cq"
	var channel *C.struct_ibv_comp_channel
	if ch != 0 {
		var err error
		if channel, err = d.channels.get(fn, uint32(ch)); err != nil {
			return 0, err
		}
	}
	h, err := d.cqs.reserve(fn)
	if err != nil {
		return 0, err
	}
	c, err := C.lz_create_cq(d.ctx, C.int(depth), C.uintptr_t(h), channel)
	if c == nil {
		d.cqs.drop(h)
		return 0, fail(fn, err)
	}
	d.cqs.set(h, &cq{c: c, depth: int(c.cqe), rxe: d.rxe(), qps: map[uint32]*qp{}})
	return driver.CQ(h), nil
}

// DestroyCQ ends a completion queue that no queue pair uses.
//
// Implements:
//
//	int ibv_destroy_cq(struct ibv_cq *cq);
func (d *Device) DestroyCQ(h driver.CQ) error {
	q, err := d.cqs.get("ibv_destroy_cq", uint32(h))
	if err != nil {
		return err
	}
	ret, err := C.ibv_destroy_cq(q.c)
	if err := check("ibv_destroy_cq", int(ret), err); err != nil {
		return err
	}
	d.cqs.drop(uint32(h))
	return nil
}

// PollCQ takes completions off the queue, in one crossing.
//
// Implements:
//
//	int ibv_poll_cq(struct ibv_cq *cq, int num_entries, struct ibv_wc *wc);
func (d *Device) PollCQ(h driver.CQ, wc []driver.WC) (int, error) {
	q, err := d.cqs.get("ibv_poll_cq", uint32(h))
	if err != nil || len(wc) == 0 {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.kept) > 0 {
		n := copy(wc, q.kept)
		q.kept = q.kept[n:]
		return n, nil
	}
	return q.poll(wc)
}

func (q *cq) poll(wc []driver.WC) (int, error) {
	var rxe C.int
	if q.rxe {
		rxe = 1
	}
	n := C.lz_poll_cq(q.c, (*C.struct_lz_wc)(unsafe.Pointer(&wc[0])), C.int(len(wc)), rxe)
	if n < 0 {
		return 0, &Error{"ibv_poll_cq", syscall.EIO}
	}
	for i := range wc[:n] {
		w := &wc[i]
		if w.Status == driver.WCSuccess && w.Flags&driver.WCGRH == 0 {
			continue
		}
		switch qp := q.qps[w.QPNum]; {
		case w.Flags&driver.WCGRH != 0 && (qp == nil || qp.typ != driver.UD):
			w.Flags &^= driver.WCGRH // SoftRoCE says that all messages have an address before them
		case w.Status != driver.WCSuccess && qp != nil:
			qp.completedBadly()
		}
	}
	return int(n), nil
}

// joined notes a queue pair that completes here.
func (q *cq) joined(qp *qp) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.qps[qp.num] = qp
}

// forget drops the completions of a queue pair that is no more. SoftRoCE leaves
// them in the queue, other devices take them out themselves.
func (q *cq) forget(qpn uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	keep := q.kept[:0:0]
	for _, w := range q.kept {
		if w.QPNum != qpn {
			keep = append(keep, w)
		}
	}
	buf := make([]driver.WC, 64)
	for taken := 0; taken <= q.depth; { // others go on completing: never more than there can have been
		n, err := q.poll(buf)
		if err != nil || n == 0 {
			break
		}
		taken += n
		for _, w := range buf[:n] {
			if w.QPNum != qpn {
				keep = append(keep, w)
			}
		}
	}
	q.kept = keep
	delete(q.qps, qpn)
}

// ArmCQ asks for one event at the next completion.
//
// Implements:
//
//	int ibv_req_notify_cq(struct ibv_cq *cq, int solicited_only);
func (d *Device) ArmCQ(h driver.CQ, solicitedOnly bool) error {
	q, err := d.cqs.get("ibv_req_notify_cq", uint32(h))
	if err != nil {
		return err
	}
	var only C.int
	if solicitedOnly {
		only = 1
	}
	ret, err := C.ibv_req_notify_cq(q.c, only)
	return check("ibv_req_notify_cq", int(ret), err)
}
