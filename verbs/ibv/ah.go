// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import "lazystate/verbs/driver"

// CreateAH creates an address handle: the way of a datagram.
//
// Implements:
//
//	struct ibv_ah *ibv_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr);
func (d *Device) CreateAH(pd driver.PD, attr *driver.AHAttr) (driver.AH, error) {
	p, err := d.pds.get("ibv_create_ah", uint32(pd))
	if err != nil {
		return 0, err
	}
	a := ahToC(attr)
	ah, err := C.ibv_create_ah(p, &a)
	if ah == nil {
		return 0, fail("ibv_create_ah", err)
	}
	h, err := d.ahs.add("ibv_create_ah", ah)
	return driver.AH(h), err
}

// DestroyAH ends an address handle.
//
// Implements:
//
//	int ibv_destroy_ah(struct ibv_ah *ah);
func (d *Device) DestroyAH(h driver.AH) error {
	ah, err := d.ahs.get("ibv_destroy_ah", uint32(h))
	if err != nil {
		return err
	}
	ret, err := C.ibv_destroy_ah(ah)
	if err := check("ibv_destroy_ah", int(ret), err); err != nil {
		return err
	}
	d.ahs.drop(uint32(h))
	return nil
}

func ahToC(attr *driver.AHAttr) C.struct_ibv_ah_attr {
	a := C.struct_ibv_ah_attr{
		dlid: C.uint16_t(attr.DLID), sl: C.uint8_t(attr.SL), port_num: C.uint8_t(attr.Port),
	}
	if attr.DGID != (driver.GID{}) {
		a.is_global = 1
		a.grh.dgid = attr.DGID
		a.grh.flow_label = C.uint32_t(attr.FlowLabel)
		a.grh.sgid_index = C.uint8_t(attr.SGIDIndex)
		a.grh.hop_limit = C.uint8_t(attr.HopLimit)
		a.grh.traffic_class = C.uint8_t(attr.TrafficClass)
	}
	return a
}

func ahFromC(a *C.struct_ibv_ah_attr) driver.AHAttr {
	attr := driver.AHAttr{DLID: uint16(a.dlid), SL: uint8(a.sl), Port: int(a.port_num)}
	if a.is_global != 0 {
		attr.DGID = a.grh.dgid
		attr.FlowLabel = uint32(a.grh.flow_label)
		attr.SGIDIndex = int(a.grh.sgid_index)
		attr.HopLimit = uint8(a.grh.hop_limit)
		attr.TrafficClass = uint8(a.grh.traffic_class)
	}
	return attr
}
