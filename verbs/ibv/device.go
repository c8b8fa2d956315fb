// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"encoding/binary"
	"sync"
	"unsafe"

	"lazystate/verbs/driver"
)

// Device is an open device: a struct ibv_context of its own, so that its
// asynchronous events and its protection domains are its own.
type Device struct {
	ctx  *C.struct_ibv_context
	attr driver.DeviceAttr

	pds      table[*C.struct_ibv_pd]
	mrs      table[*C.struct_ibv_mr]
	mws      table[*C.struct_ibv_mw]
	channels table[*C.struct_ibv_comp_channel]
	cqs      table[*cq]
	srqs     table[*srq]
	qps      table[*qp]
	ahs      table[*C.struct_ibv_ah]

	async *waitFD
	cm    *cm // nil: the kernel has no RDMA connection manager

	closing sync.Once
	closed  error
}

var _ driver.Device = (*Device)(nil)

func newDevice(c *C.struct_ibv_context, name string) (*Device, error) {
	d := &Device{ctx: c}
	if err := d.queryDevice(name); err != nil {
		C.ibv_close_device(c)
		return nil, err
	}
	var err error
	if d.async, err = newWaitFD(int(c.async_fd), name+" events"); err != nil {
		C.ibv_close_device(c)
		return nil, err
	}
	if d.cm, err = newCM(d); err == nil {
		d.attr.Caps |= driver.CapCM
	}
	d.attr.MaxInline = d.probeInline()
	return d, nil
}

// queryDevice fills attr.
//
// Implements:
//
//	int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *device_attr);
func (d *Device) queryDevice(name string) error {
	var a C.struct_ibv_device_attr
	ret, err := C.ibv_query_device(d.ctx, &a)
	if err := check("ibv_query_device", int(ret), err); err != nil {
		return err
	}
	d.attr = driver.DeviceAttr{
		Name: name, Provider: "ibv", Firmware: C.GoString(&a.fw_ver[0]),
		NodeGUID: fromBE64(uint64(a.node_guid)), VendorID: uint32(a.vendor_id), Ports: int(a.phys_port_cnt),
		MaxMRSize: uint64(a.max_mr_size), MaxQP: int(a.max_qp), MaxQPWR: int(a.max_qp_wr), MaxSGE: int(a.max_sge),
		MaxCQ: int(a.max_cq), MaxCQE: int(a.max_cqe), MaxMR: int(a.max_mr), MaxPD: int(a.max_pd), MaxMW: int(a.max_mw),
		MaxSRQ: int(a.max_srq), MaxSRQWR: int(a.max_srq_wr),
		MaxQPRdAtom: int(a.max_qp_rd_atom), MaxQPInitRdAtom: int(a.max_qp_init_rd_atom),
		Atomics: driver.AtomicCap(a.atomic_cap), Caps: capsOf(&a),
	}
	return d.queryMaxMsg()
}

func (d *Device) queryMaxMsg() error {
	var p C.struct_ibv_port_attr
	ret, err := C.lz_query_port(d.ctx, 1, &p)
	d.attr.MaxMsgSize = uint32(p.max_msg_sz)
	return check("ibv_query_port", int(ret), err)
}

func capsOf(a *C.struct_ibv_device_attr) driver.Caps {
	caps := driver.CapEvents | driver.CapUD
	if a.max_srq > 0 {
		caps |= driver.CapSRQ
	}
	if a.max_mw > 0 && a.device_cap_flags&(C.IBV_DEVICE_MEM_WINDOW_TYPE_2A|C.IBV_DEVICE_MEM_WINDOW_TYPE_2B) != 0 {
		caps |= driver.CapWindows
	}
	if a.device_cap_flags&C.IBV_DEVICE_MEM_MGT_EXTENSIONS != 0 {
		caps |= driver.CapLocalInv
	}
	return caps
}

func fromBE64(v uint64) uint64 {
	return binary.BigEndian.Uint64((*[8]byte)(unsafe.Pointer(&v))[:])
}

// probeInline finds the most inline bytes that a queue pair can have: no query
// tells, and creating one with too many fails.
func (d *Device) probeInline() int {
	pd, err := d.AllocPD()
	if err != nil {
		return 0
	}
	defer d.DeallocPD(pd)
	cq, err := d.CreateCQ(1, 0)
	if err != nil {
		return 0
	}
	defer d.DestroyCQ(cq)
	for _, n := range []int{1024, 512, 256, 128, 64, 32} {
		info, err := d.CreateQP(pd, &driver.QPInitAttr{
			Type: driver.RC, SendCQ: cq, RecvCQ: cq,
			Cap: driver.QPCap{MaxSendWR: 1, MaxRecvWR: 1, MaxSendSGE: 1, MaxRecvSGE: 1, MaxInline: n},
		})
		if err == nil {
			d.DestroyQP(info.QP)
			return n
		}
	}
	return 0
}

// Attr returns what the device said when it was opened.
func (d *Device) Attr() driver.DeviceAttr { return d.attr }

// AllocPD allocates a protection domain.
//
// Implements:
//
//	struct ibv_pd *ibv_alloc_pd(struct ibv_context *context);
func (d *Device) AllocPD() (driver.PD, error) {
	p, err := C.ibv_alloc_pd(d.ctx)
	if p == nil {
		return 0, fail("ibv_alloc_pd", err)
	}
	h, err := d.pds.add("ibv_alloc_pd", p)
	return driver.PD(h), err
}

// DeallocPD ends a protection domain that nothing uses any more.
//
// Implements:
//
//	int ibv_dealloc_pd(struct ibv_pd *pd);
func (d *Device) DeallocPD(h driver.PD) error {
	p, err := d.pds.get("ibv_dealloc_pd", uint32(h))
	if err != nil {
		return err
	}
	ret, err := C.ibv_dealloc_pd(p)
	if err := check("ibv_dealloc_pd", int(ret), err); err != nil {
		return err
	}
	d.pds.drop(uint32(h))
	return nil
}

// CM returns the connection manager, if the kernel has rdma_ucm.
func (d *Device) CM() (driver.CM, error) {
	if d.cm == nil {
		return nil, driver.ErrNotSupported
	}
	return d.cm, nil
}

// NextEvent waits for an asynchronous event.
//
// Implements:
//
//	int ibv_get_async_event(struct ibv_context *context, struct ibv_async_event *event);
//	void ibv_ack_async_event(struct ibv_async_event *event);
func (d *Device) NextEvent(ctx context.Context) (driver.AsyncEvent, error) {
	var e C.struct_lz_async_event
	err := d.async.wait(ctx, func() error {
		return check("ibv_get_async_event", int(C.lz_next_async(d.ctx, &e)), nil)
	})
	if err != nil {
		return driver.AsyncEvent{}, err
	}
	return eventOf(driver.EventType(e._type), uint32(e.handle), int(e.port)), nil
}

func eventOf(typ driver.EventType, handle uint32, port int) driver.AsyncEvent {
	ev := driver.AsyncEvent{Type: typ, Port: port}
	switch typ {
	case driver.EventCQErr:
		ev.CQ = driver.CQ(handle)
	case driver.EventSRQErr, driver.EventSRQLimit:
		ev.SRQ = driver.SRQ(handle)
	default:
		ev.QP = driver.QP(handle) // 0 with a port's events
	}
	return ev
}

// Close closes the device; package verbs has ended its objects before.
//
// Implements:
//
//	int ibv_close_device(struct ibv_context *context);
func (d *Device) Close() error {
	d.closing.Do(func() {
		d.async.close()
		if d.cm != nil {
			d.cm.close()
		}
		ret, err := C.ibv_close_device(d.ctx)
		d.closed = check("ibv_close_device", int(ret), err)
	})
	return d.closed
}
