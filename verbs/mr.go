// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"errors"
	"fmt"
	"unsafe"

	"lazystate/verbs/driver"
)

// PD is a protection domain: queue pairs reach only registrations of their own.
type PD struct {
	object
	dev *Device
	h   driver.PD
}

// AllocPD makes a protection domain.
//
// Implements:
//
//	struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
func (d *Device) AllocPD() (*PD, error) {
	pd := &PD{dev: d}
	if err := pd.attach("pd", &d.object); err != nil {
		return nil, err
	}
	var err error
	pd.h, err = d.drv.AllocPD()
	if err := pd.made(uint32(pd.h), err); err != nil {
		return nil, err
	}
	return pd, nil
}

// Device returns the device that the domain is of.
func (pd *PD) Device() *Device { return pd.dev }

// Close frees the domain; *BusyError while something is in it.
//
// Implements:
//
//	int ibv_dealloc_pd(struct ibv_pd *pd)
func (pd *PD) Close() error {
	return pd.close(func() error { return pd.dev.drv.DeallocPD(pd.h) })
}

// MR is registered memory.
type MR struct {
	object
	pd    *PD
	info  driver.MRInfo
	mem   Memory
	owned bool // made by AllocMR: freed with the registration
}

// RegMR registers bytes that lie outside the Go heap (mmapped or C memory) and
// stay mapped until the MR is closed. Remote addresses are the bytes' own;
// they begin at 0 with AccessZeroBased.
//
// Implements:
//
//	struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t length, int access)
func (pd *PD) RegMR(b []byte, a Access) (*MR, error) {
	return pd.RegMemory(Memory{Bytes: b, FD: -1}, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), a)
}

// RegMemory registers m with iova as the remote address of its first byte.
//
// Implements:
//
//	struct ibv_mr *ibv_reg_mr_iova(struct ibv_pd *pd, void *addr, size_t length, uint64_t iova, int access)
func (pd *PD) RegMemory(m Memory, iova uint64, a Access) (*MR, error) {
	if a&AccessZeroBased != 0 {
		iova = 0
	}
	mr := &MR{pd: pd, mem: m}
	if err := mr.attach("mr", &pd.object); err != nil {
		return nil, err
	}
	var err error
	mr.info, err = pd.dev.drv.RegMR(pd.h, m, iova, a)
	if err := mr.made(uint32(mr.info.MR), err); err != nil {
		return nil, err
	}
	return mr, nil
}

// AllocMR allocates page-aligned memory that suits the device and registers
// it. Close frees it: no slice of its Bytes may be used after that.
func (pd *PD) AllocMR(bytes int, a Access) (*MR, error) {
	m, err := pd.dev.drv.Alloc(bytes)
	if err != nil {
		return nil, fmt.Errorf("allocate %d bytes for %v: %w", bytes, pd.dev, err)
	}
	mr, err := pd.RegMemory(m, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m.Bytes)))), a)
	if err != nil {
		return nil, errors.Join(err, pd.dev.drv.Free(m))
	}
	mr.owned = true
	return mr, nil
}

// RegHandler registers no memory but a handler that answers remote operations
// on length bytes from iova; ErrNotSupported without CapHandler.
func (pd *PD) RegHandler(h driver.Handler, iova, length uint64, a Access) (*MR, error) {
	hd, ok := pd.dev.drv.(driver.HandlerDevice)
	if !ok || !pd.dev.Has(CapHandler) {
		return nil, fmt.Errorf("register a handler with %v: %w", pd.dev, ErrNotSupported)
	}
	mr := &MR{pd: pd}
	if err := mr.attach("mr", &pd.object); err != nil {
		return nil, err
	}
	var err error
	mr.info, err = hd.RegHandler(pd.h, h, iova, length, a)
	if err := mr.made(uint32(mr.info.MR), err); err != nil {
		return nil, err
	}
	return mr, nil
}

// Bytes is the memory; Memory is it with the file behind it.
func (mr *MR) Bytes() []byte  { return mr.mem.Bytes }
func (mr *MR) Memory() Memory { return mr.mem }

// Len returns the registration's length in bytes.
func (mr *MR) Len() uint64 { return mr.info.Len }

// Addr returns the remote address of the first byte.
func (mr *MR) Addr() uint64 { return mr.info.Addr }

// LKey returns the key of local use, RKey that of the peer.
func (mr *MR) LKey() uint32 { return mr.info.LKey }
func (mr *MR) RKey() uint32 { return mr.info.RKey }

// Handle returns the driver's handle, for MWBind.
func (mr *MR) Handle() driver.MR { return mr.info.MR }

// SGE returns n bytes from off on, for a work request.
func (mr *MR) SGE(off, n int) SGE {
	return SGE{Addr: mr.info.Addr + uint64(off), Length: uint32(n), LKey: mr.info.LKey}
}

// Close ends the registration, and frees the memory if AllocMR made it.
//
// Implements:
//
//	int ibv_dereg_mr(struct ibv_mr *mr)
func (mr *MR) Close() error {
	return mr.close(func() error {
		if err := mr.pd.dev.drv.DeregMR(mr.info.MR); err != nil || !mr.owned {
			return err
		}
		m := mr.mem
		mr.mem = Memory{FD: -1}
		return mr.pd.dev.drv.Free(m)
	})
}

// MW is a memory window of type 2: bound and invalidated by work requests.
type MW struct {
	object
	pd   *PD
	h    driver.MW
	rkey uint32
}

// AllocMW makes a window; ErrNotSupported without CapWindows.
//
// Implements:
//
//	struct ibv_mw *ibv_alloc_mw(struct ibv_pd *pd, enum ibv_mw_type type)
func (pd *PD) AllocMW() (*MW, error) {
	if err := pd.dev.need(CapWindows, "make a memory window"); err != nil {
		return nil, err
	}
	mw := &MW{pd: pd}
	if err := mw.attach("mw", &pd.object); err != nil {
		return nil, err
	}
	var err error
	mw.h, mw.rkey, err = pd.dev.drv.AllocMW(pd.h)
	if err := mw.made(uint32(mw.h), err); err != nil {
		return nil, err
	}
	return mw, nil
}

// RKey returns the window's key as it was allocated. A bind chooses another
// low byte: NextRKey.
func (mw *MW) RKey() uint32 { return mw.rkey }

// NextRKey returns key with its low byte counted up.
//
// Implements:
//
//	uint32_t ibv_inc_rkey(uint32_t rkey)
func NextRKey(key uint32) uint32 { return key&^0xff | (key+1)&0xff }

// Bind returns the work request that opens the window with key onto n bytes of
// mr from off on.
func (mw *MW) Bind(key uint32, mr *MR, off, n int, a Access) SendWR {
	return SendWR{Op: OpBindMW, Bind: &MWBind{
		MW: mw.h, RKey: key, MR: mr.info.MR, Addr: mr.info.Addr + uint64(off), Length: uint64(n), Access: a,
	}}
}

// Close frees the window.
//
// Implements:
//
//	int ibv_dealloc_mw(struct ibv_mw *mw)
func (mw *MW) Close() error {
	return mw.close(func() error { return mw.pd.dev.drv.DeallocMW(mw.h) })
}
