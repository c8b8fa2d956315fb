// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// Region is what a key stands for: a registration, or a window on one.
type Region struct {
	Key    uint32
	PD     driver.PD
	Mem    driver.Memory // of which Bytes are what the region covers
	Addr   uint64        // remote address of the first byte
	Access driver.Access
	QP     uint32 // windows: number of the only queue pair that may use it

	mr      driver.MR
	windows int // bound to it; under keys.mu
}

type window struct {
	pd  driver.PD
	key uint32
	on  *Region // nil: not bound
	of  *Region // the registration
}

type keys struct {
	mu  sync.RWMutex
	m   map[uint32]*Region
	mrs table[driver.MR, *Region]
}

func randomUint32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

// fresh returns a key that is not in use; its low byte is 0, for windows.
func (k *keys) fresh() uint32 {
	for {
		if key := randomUint32() &^ 0xff; key != 0 && k.m[key] == nil {
			return key
		}
	}
}

const remoteChanges = driver.AccessRemoteWrite | driver.AccessRemoteAtomic

// Alloc returns memory behind a memfd.
func (d *Device) Alloc(bytes int) (driver.Memory, error) {
	none := driver.Memory{FD: -1}
	if bytes <= 0 {
		return none, fmt.Errorf("%d bytes of memory: %w", bytes, driver.ErrInvalid)
	}
	fd, b, err := Shared(bytes)
	if err != nil {
		return none, err
	}
	return driver.Memory{Bytes: b[:bytes], FD: fd}, nil
}

// Free unmaps what Alloc returned.
func (d *Device) Free(m driver.Memory) error {
	err := unix.Munmap(m.Bytes[:pages(len(m.Bytes)):cap(m.Bytes)])
	if m.FD >= 0 {
		unix.Close(m.FD)
	}
	return err
}

// RegMR registers memory.
func (d *Device) RegMR(h driver.PD, m driver.Memory, iova uint64, a driver.Access) (driver.MRInfo, error) {
	p, err := d.pds.get(h)
	if err != nil {
		return driver.MRInfo{}, err
	}
	if a&remoteChanges != 0 && a&driver.AccessLocalWrite == 0 {
		return driver.MRInfo{}, fmt.Errorf("remote writes or atomics without local writes: %w", driver.ErrInvalid)
	}
	n := uint64(len(m.Bytes))
	if n == 0 || iova+n-1 < iova {
		return driver.MRInfo{}, fmt.Errorf("%d bytes at %#x: %w", n, iova, driver.ErrInvalid)
	}
	if d.attr.MaxMRSize > 0 && n > d.attr.MaxMRSize {
		return driver.MRInfo{}, fmt.Errorf("%d bytes, at most %d: %w", n, d.attr.MaxMRSize, driver.ErrInvalid)
	}
	r := &Region{PD: h, Mem: m, Addr: iova, Access: a}
	d.keys.add(r)
	if err := d.carrier.Registered(r); err != nil {
		return driver.MRInfo{}, errors.Join(err, d.keys.end(r))
	}
	p.use(1)
	return driver.MRInfo{MR: r.mr, LKey: r.Key, RKey: r.Key, Addr: iova, Len: n}, nil
}

func (k *keys) add(r *Region) {
	r.mr = k.mrs.add(r)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m == nil {
		k.m = map[uint32]*Region{}
	}
	r.Key = k.fresh()
	k.m[r.Key] = r
}

func (k *keys) end(r *Region) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.windows > 0 {
		return fmt.Errorf("%d windows are bound to it: %w", r.windows, driver.ErrInvalid)
	}
	delete(k.m, r.Key)
	k.mrs.remove(r.mr)
	return nil
}

// DeregMR ends a registration. It waits for operations that are being executed.
func (d *Device) DeregMR(h driver.MR) error {
	r, err := d.keys.mrs.get(h)
	if err != nil {
		return err
	}
	if err := d.keys.end(r); err != nil {
		return err
	}
	d.carrier.Ended(r)
	if p, err := d.pds.get(r.PD); err == nil {
		p.use(-1)
	}
	return nil
}

// local returns the bytes that one piece names; false if that is not allowed.
// keys are locked.
func (d *Device) local(pd driver.PD, s *driver.SGE, write bool) ([]byte, bool) {
	r := d.keys.m[s.LKey]
	if r == nil || r.PD != pd || r.QP != 0 || write && r.Access&driver.AccessLocalWrite == 0 {
		return nil, false
	}
	return r.slice(s.Addr, uint64(s.Length))
}

func (d *Device) allowed(pd driver.PD, sg []driver.SGE, write bool) bool {
	for i := range sg {
		if sg[i].Length == 0 {
			continue
		}
		if _, ok := d.local(pd, &sg[i], write); !ok {
			return false
		}
	}
	return true
}

// Writable reports whether all of sg may be written to.
func (d *Device) Writable(pd driver.PD, sg []driver.SGE) bool {
	d.keys.mu.RLock()
	defer d.keys.mu.RUnlock()
	return d.allowed(pd, sg, true)
}

// Scatter copies data into sg, from its byte off on; false, and nothing is
// copied, if a piece of sg is not allowed.
func (d *Device) Scatter(pd driver.PD, sg []driver.SGE, off uint64, data []byte) bool {
	return d.move(pd, sg, off, data, true)
}

// Gather fills b with what sg names from its byte off on.
func (d *Device) Gather(pd driver.PD, sg []driver.SGE, off uint64, b []byte) bool {
	return d.move(pd, sg, off, b, false)
}

func (d *Device) move(pd driver.PD, sg []driver.SGE, off uint64, b []byte, write bool) bool {
	d.keys.mu.RLock()
	defer d.keys.mu.RUnlock()
	if !d.allowed(pd, sg, write) {
		return false
	}
	for i := 0; i < len(sg) && len(b) > 0; i++ {
		n := uint64(sg[i].Length)
		if off >= n {
			off -= n
			continue
		}
		p, _ := d.local(pd, &sg[i], write)
		if write {
			b = b[copy(p[off:], b):]
		} else {
			b = b[copy(b, p[off:]):]
		}
		off = 0
	}
	return true
}

// Remote calls f with n bytes that a peer of qp named by key; false, and no
// call, if it may not do that with them.
func (d *Device) Remote(qp *QP, key uint32, addr, n uint64, need driver.Access, f func([]byte)) bool {
	d.keys.mu.RLock()
	defer d.keys.mu.RUnlock()
	r := d.keys.m[key]
	if r == nil || r.PD != qp.PD || r.Access&need != need {
		return false
	}
	if r.QP != 0 && r.QP != qp.Num {
		return false
	}
	b, ok := r.slice(addr, n)
	if ok {
		f(b)
	}
	return ok
}

// slice returns n bytes at addr, checked against overflow and range.
func (r *Region) slice(addr, n uint64) ([]byte, bool) {
	off := addr - r.Addr
	if addr < r.Addr || off > uint64(len(r.Mem.Bytes)) || n > uint64(len(r.Mem.Bytes))-off {
		return nil, false
	}
	return r.Mem.Bytes[off : off+n], true
}

// AllocMW makes a window that is bound to nothing.
func (d *Device) AllocMW(h driver.PD) (driver.MW, uint32, error) {
	p, err := d.pds.get(h)
	if err != nil {
		return 0, 0, err
	}
	d.keys.mu.Lock()
	defer d.keys.mu.Unlock()
	w := &window{pd: h, key: d.keys.fresh()}
	p.use(1)
	return d.mws.add(w), w.key, nil
}

// DeallocMW ends a window, bound or not.
func (d *Device) DeallocMW(h driver.MW) error {
	w, err := d.mws.get(h)
	if err != nil {
		return err
	}
	d.keys.mu.Lock()
	d.unbind(w)
	d.keys.mu.Unlock()
	d.mws.remove(h)
	if p, err := d.pds.get(w.pd); err == nil {
		p.use(-1)
	}
	return nil
}

func (d *Device) unbind(w *window) {
	if w.on != nil {
		delete(d.keys.m, w.on.Key)
		w.of.windows--
		w.on, w.of = nil, nil
	}
}

// bind executes OpBindMW.
func (d *Device) bind(qp *QP, b *driver.MWBind) bool {
	if b == nil {
		return false
	}
	w, err := d.mws.get(b.MW)
	if err != nil || w.pd != qp.PD || b.RKey&^0xff != w.key&^0xff {
		return false
	}
	mr, err := d.keys.mrs.get(b.MR)
	if err != nil || mr.PD != qp.PD || mr.Access&driver.AccessMWBind == 0 {
		return false
	}
	mem, ok := mr.slice(b.Addr, b.Length)
	if !ok || b.Access&remoteChanges != 0 && mr.Access&driver.AccessLocalWrite == 0 {
		return false
	}
	d.keys.mu.Lock()
	defer d.keys.mu.Unlock()
	if other := d.keys.m[b.RKey]; other != nil || w.on != nil {
		return false // type 2 windows are invalidated before they are bound again
	}
	w.on, w.of = &Region{Key: b.RKey, PD: qp.PD, Mem: driver.Memory{Bytes: mem, FD: -1}, Addr: b.Addr, Access: b.Access, QP: qp.Num}, mr
	w.of.windows++
	d.keys.m[b.RKey] = w.on
	return true
}

// Invalidate ends the window that key is bound to, for a peer of qp or for its
// owner; false if there is none that qp may use.
func (d *Device) Invalidate(qp *QP, key uint32) bool {
	d.keys.mu.Lock()
	defer d.keys.mu.Unlock()
	for _, w := range d.mws.all() {
		if w.on != nil && w.on.Key == key && w.on.QP == qp.Num {
			d.unbind(w)
			return true
		}
	}
	return false
}
