// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
#cgo noescape lz_post_send
#cgo nocallback lz_post_send
#cgo noescape lz_post_recv
#cgo nocallback lz_post_recv
#cgo noescape lz_post_srq_recv
#cgo nocallback lz_post_srq_recv
*/
import "C"

import (
	"unsafe"

	"lazystate/verbs/driver"
)

// PostSend posts a batch in one crossing.
//
// Implements:
//
//	int ibv_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr);
func (d *Device) PostSend(h driver.QP, wrs []driver.SendWR) (int, error) {
	const fn = "ibv_post_send"
	q, err := d.qps.get(fn, uint32(h))
	if err != nil || len(wrs) == 0 {
		return 0, err
	}
	if err := q.mayPost(fn, driver.QPRTS); err != nil {
		return 0, err
	}
	good, fillErr := d.fillSends(&q.sends, wrs)
	if good == 0 {
		return 0, fillErr
	}
	var done C.int
	ret := C.lz_post_send(q.c, q.sends.flat.p, C.int(good), (*C.struct_ibv_sge)(unsafe.Pointer(q.sends.sge.p)), q.sends.wr.p, &done)
	if err := check(fn, int(ret), nil); err != nil {
		return int(done), err
	}
	return good, fillErr
}

// fillSends copies a batch into the arena, up to the first request that names
// what does not exist.
func (d *Device) fillSends(a *sendArena, wrs []driver.SendWR) (int, error) {
	sges, bytes := size(wrs)
	flat, sge, inline := a.flat.atLeast(len(wrs)), a.sge.atLeast(sges), a.inline.atLeast(bytes)
	a.wr.atLeast(len(wrs))
	for i := range wrs {
		w := &wrs[i]
		f := &flat[i]
		*f = C.struct_lz_send_wr{
			wr_id: C.uint64_t(w.ID), opcode: C.uint32_t(w.Op), flags: C.uint32_t(w.Flags), num_sge: C.uint32_t(len(w.SG)),
			remote_addr: C.uint64_t(w.RemoteAddr), rkey: C.uint32_t(w.RKey), imm: C.uint32_t(w.Imm),
			compare_add: C.uint64_t(w.CompareAdd), swap: C.uint64_t(w.Swap),
			remote_qpn: C.uint32_t(w.RemoteQPN), remote_qkey: C.uint32_t(w.RemoteQK),
		}
		sge = sge[copy(sge, w.SG):]
		if w.Flags&driver.SendInline != 0 {
			f.num_sge++
			n := copy(inline, w.Inline)
			sge[0] = driver.SGE{Addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(inline)))), Length: uint32(n)}
			sge, inline = sge[1:], inline[n:]
		}
		if err := d.fillHandles(f, w); err != nil {
			return i, err
		}
	}
	return len(wrs), nil
}

// fillHandles puts C's pointers where the request has handles.
func (d *Device) fillHandles(f *C.struct_lz_send_wr, w *driver.SendWR) error {
	const fn = "ibv_post_send"
	var err error
	if w.AH != 0 {
		if f.ah, err = d.ahs.get(fn, uint32(w.AH)); err != nil {
			return err
		}
	}
	if w.Op != driver.OpBindMW {
		return nil
	}
	b := w.Bind
	if b == nil {
		return invalid(fn)
	}
	if f.mw, err = d.mws.get(fn, uint32(b.MW)); err != nil {
		return err
	}
	if f.mr, err = d.mrs.get(fn, uint32(b.MR)); err != nil {
		return err
	}
	f.bind_rkey, f.bind_access = C.uint32_t(b.RKey), C.uint32_t(b.Access)
	f.bind_addr, f.bind_length = C.uint64_t(b.Addr), C.uint64_t(b.Length)
	return nil
}

// PostRecv posts a batch in one crossing.
//
// Implements:
//
//	int ibv_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr);
func (d *Device) PostRecv(h driver.QP, wrs []driver.RecvWR) (int, error) {
	const fn = "ibv_post_recv"
	q, err := d.qps.get(fn, uint32(h))
	if err != nil || len(wrs) == 0 {
		return 0, err
	}
	if err := q.mayPost(fn, driver.QPInit); err != nil {
		return 0, err
	}
	a := &q.recvs
	a.fill(wrs)
	var done C.int
	ret := C.lz_post_recv(q.c, a.flat.p, C.int(len(wrs)), (*C.struct_ibv_sge)(unsafe.Pointer(a.sge.p)), a.wr.p, &done)
	if q.state.Load() == uint32(driver.QPError) {
		q.flush()
	}
	return int(done), check(fn, int(ret), nil)
}

// PostSRQRecv posts a batch to a shared receive queue in one crossing.
//
// Implements:
//
//	int ibv_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *recv_wr, struct ibv_recv_wr **bad_recv_wr);
func (d *Device) PostSRQRecv(h driver.SRQ, wrs []driver.RecvWR) (int, error) {
	const fn = "ibv_post_srq_recv"
	s, err := d.srqs.get(fn, uint32(h))
	if err != nil || len(wrs) == 0 {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &s.recvs
	a.fill(wrs)
	var done C.int
	ret := C.lz_post_srq_recv(s.c, a.flat.p, C.int(len(wrs)), (*C.struct_ibv_sge)(unsafe.Pointer(a.sge.p)), a.wr.p, &done)
	return int(done), check(fn, int(ret), nil)
}
