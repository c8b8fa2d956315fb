// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// Alloc maps new memory that lies in a memfd, shared: a fork of this process
// cannot take its pages away from the device as it does with private ones.
func (d *Device) Alloc(bytes int) (driver.Memory, error) {
	if bytes <= 0 {
		return driver.Memory{}, invalid("mmap")
	}
	fd, err := unix.MemfdCreate("verbs", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return driver.Memory{}, os.NewSyscallError("memfd_create", err)
	}
	page := os.Getpagesize()
	if err := unix.Ftruncate(fd, int64((bytes+page-1)/page*page)); err != nil {
		unix.Close(fd)
		return driver.Memory{}, os.NewSyscallError("ftruncate", err)
	}
	b, err := unix.Mmap(fd, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return driver.Memory{}, os.NewSyscallError("mmap", err)
	}
	return driver.Memory{Bytes: b, FD: fd}, nil
}

// Free unmaps what Alloc gave.
func (d *Device) Free(m driver.Memory) error {
	return errors.Join(os.NewSyscallError("munmap", unix.Munmap(m.Bytes)), os.NewSyscallError("close", unix.Close(m.FD)))
}

// RegMR registers memory. A zero-based registration is one whose iova is 0: no
// device needs the flag for that, and SoftRoCE does not know it.
//
// Implements:
//
//	struct ibv_mr *ibv_reg_mr_iova(struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, int access);
func (d *Device) RegMR(pd driver.PD, m driver.Memory, iova uint64, a driver.Access) (driver.MRInfo, error) {
	p, err := d.pds.get("ibv_reg_mr_iova", uint32(pd))
	if err != nil {
		return driver.MRInfo{}, err
	}
	if a&driver.AccessZeroBased != 0 {
		iova = 0
		a &^= driver.AccessZeroBased
	}
	mr, err := C.lz_reg_mr(p, unsafe.Pointer(unsafe.SliceData(m.Bytes)), C.size_t(len(m.Bytes)), C.uint64_t(iova), C.uint(a))
	if mr == nil {
		return driver.MRInfo{}, fail("ibv_reg_mr_iova", err)
	}
	h, err := d.mrs.add("ibv_reg_mr_iova", mr)
	return driver.MRInfo{MR: driver.MR(h), LKey: uint32(mr.lkey), RKey: uint32(mr.rkey), Addr: iova, Len: uint64(len(m.Bytes))}, err
}

// DeregMR ends a registration; its keys are invalid afterwards.
//
// Implements:
//
//	int ibv_dereg_mr(struct ibv_mr *mr);
func (d *Device) DeregMR(h driver.MR) error {
	mr, err := d.mrs.get("ibv_dereg_mr", uint32(h))
	if err != nil {
		return err
	}
	ret, err := C.ibv_dereg_mr(mr)
	if err := check("ibv_dereg_mr", int(ret), err); err != nil {
		return err
	}
	d.mrs.drop(uint32(h))
	return nil
}

// AllocMW allocates a window of type 2, which a work request binds. Whoever
// binds it keeps the device's idea of its key: after a bind that failed the
// window is of no more use.
//
// Implements:
//
//	struct ibv_mw *ibv_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type);
func (d *Device) AllocMW(pd driver.PD) (driver.MW, uint32, error) {
	if d.attr.Caps&driver.CapWindows == 0 {
		return 0, 0, driver.ErrNotSupported
	}
	p, err := d.pds.get("ibv_alloc_mw", uint32(pd))
	if err != nil {
		return 0, 0, err
	}
	mw, err := C.ibv_alloc_mw(p, C.IBV_MW_TYPE_2)
	if mw == nil {
		return 0, 0, fail("ibv_alloc_mw", err)
	}
	h, err := d.mws.add("ibv_alloc_mw", mw)
	return driver.MW(h), uint32(mw.rkey), err
}

// DeallocMW ends a window.
//
// Implements:
//
//	int ibv_dealloc_mw(struct ibv_mw *mw);
func (d *Device) DeallocMW(h driver.MW) error {
	mw, err := d.mws.get("ibv_dealloc_mw", uint32(h))
	if err != nil {
		return err
	}
	ret, err := C.ibv_dealloc_mw(mw)
	if err := check("ibv_dealloc_mw", int(ret), err); err != nil {
		return err
	}
	d.mws.drop(uint32(h))
	return nil
}
