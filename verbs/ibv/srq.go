// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"sync"

	"lazystate/verbs/driver"
)

// srq is a shared receive queue, posted to by the goroutines of all its queue pairs.
type srq struct {
	c     *C.struct_ibv_srq
	mu    sync.Mutex
	recvs recvArena
}

// CreateSRQ creates a shared receive queue.
//
// Implements:
//
//	struct ibv_srq *ibv_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *srq_init_attr);
func (d *Device) CreateSRQ(pd driver.PD, maxWR, maxSGE int) (driver.SRQ, error) {
	const fn = "ibv_create_srq"
	p, err := d.pds.get(fn, uint32(pd))
	if err != nil {
		return 0, err
	}
	h, err := d.srqs.reserve(fn)
	if err != nil {
		return 0, err
	}
	s, err := C.lz_create_srq(p, C.uint32_t(maxWR), C.uint32_t(maxSGE), C.uintptr_t(h))
	if s == nil {
		d.srqs.drop(h)
		return 0, fail(fn, err)
	}
	d.srqs.set(h, &srq{c: s})
	return driver.SRQ(h), nil
}

// ArmSRQ asks for one event when fewer than limit receives are left.
//
// Implements:
//
//	int ibv_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *srq_attr, int srq_attr_mask);
func (d *Device) ArmSRQ(h driver.SRQ, limit int) error {
	s, err := d.srqs.get("ibv_modify_srq", uint32(h))
	if err != nil {
		return err
	}
	a := C.struct_ibv_srq_attr{srq_limit: C.uint32_t(limit)}
	ret, err := C.ibv_modify_srq(s.c, &a, C.IBV_SRQ_LIMIT)
	return check("ibv_modify_srq", int(ret), err)
}

// DestroySRQ ends a shared receive queue that no queue pair uses.
//
// Implements:
//
//	int ibv_destroy_srq(struct ibv_srq *srq);
func (d *Device) DestroySRQ(h driver.SRQ) error {
	s, err := d.srqs.get("ibv_destroy_srq", uint32(h))
	if err != nil {
		return err
	}
	ret, err := C.ibv_destroy_srq(s.c)
	if err := check("ibv_destroy_srq", int(ret), err); err != nil {
		return err
	}
	s.recvs.free()
	d.srqs.drop(uint32(h))
	return nil
}
