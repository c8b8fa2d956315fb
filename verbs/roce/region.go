// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// region is what a key opens: a registration, or a window onto a part of one.
type region struct {
	handle  driver.MR
	pd      driver.PD
	key     uint32
	access  driver.Access
	addr    uint64 // remote address of the first byte
	length  uint64
	bytes   []byte         // nil with a handler
	handler driver.Handler // answers instead of bytes
	base    uint64         // offset of addr in what handler knows
	ended   bool           // deregistered, or a window that was unbound; work in flight still points here

	window *window // not nil: the key is a bound window's
	parent *region // that a window looks onto
	bound  int     // windows onto this registration
}

const remoteAccess = driver.AccessRemoteRead | driver.AccessRemoteWrite | driver.AccessRemoteAtomic

// open reports whether the key still works.
func (r *region) open() bool { return !r.ended && (r.parent == nil || !r.parent.ended) }

// covers reports whether [addr, addr+n) lies in the region.
func (r *region) covers(addr, n uint64) bool {
	off := addr - r.addr
	return addr >= r.addr && off <= r.length && n <= r.length-off
}

// slice returns the bytes at addr; the caller has checked that they are covered.
func (r *region) slice(addr uint64, n int) []byte {
	off := addr - r.addr
	return r.bytes[off : off+uint64(n) : off+uint64(n)]
}

// random32 returns a number that no one can guess. Keys, queue pair numbers and
// packet sequence numbers are all that keeps strangers out.
func random32() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program first
	return binary.NativeEndian.Uint32(b[:])
}

// newKey returns a key that opens nothing yet. Its low byte is free for a
// window's owner to change.
func (d *Device) newKey() uint32 {
	for {
		if k := random32(); k != 0 && d.keys[k] == nil {
			return k
		}
	}
}

func (d *Device) AllocPD() (driver.PD, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, driver.ErrClosed
	}
	pd := driver.PD(d.handle())
	d.pds[pd] = struct{}{}
	return pd, nil
}

func (d *Device) DeallocPD(pd driver.PD) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.pds[pd]; !ok {
		return fmt.Errorf("dealloc PD %d: %w", pd, driver.ErrInvalid)
	}
	delete(d.pds, pd)
	return nil
}

// Alloc returns memory of a memfd, so that another process can be given it.
func (d *Device) Alloc(bytes int) (driver.Memory, error) {
	if bytes <= 0 {
		return driver.Memory{}, fmt.Errorf("alloc %d bytes: %w", bytes, driver.ErrInvalid)
	}
	fd, err := unix.MemfdCreate("roce", unix.MFD_CLOEXEC)
	if err != nil {
		return driver.Memory{}, fmt.Errorf("alloc %d bytes: %w", bytes, err)
	}
	var b []byte
	if err = unix.Ftruncate(fd, int64(bytes)); err == nil {
		b, err = unix.Mmap(fd, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		unix.Close(fd)
		return driver.Memory{}, fmt.Errorf("alloc %d bytes: %w", bytes, err)
	}
	return driver.Memory{Bytes: b, FD: fd}, nil
}

func (d *Device) Free(m driver.Memory) error {
	if err := unix.Munmap(m.Bytes); err != nil {
		return fmt.Errorf("free memory: %w", err)
	}
	return unix.Close(m.FD)
}

func (d *Device) RegMR(pd driver.PD, m driver.Memory, iova uint64, a driver.Access) (driver.MRInfo, error) {
	return d.register(&region{pd: pd, bytes: m.Bytes, length: uint64(len(m.Bytes)), addr: iova, access: a})
}

// RegHandler registers addresses that h answers.
func (d *Device) RegHandler(pd driver.PD, h driver.Handler, iova, length uint64, a driver.Access) (driver.MRInfo, error) {
	if h == nil {
		return driver.MRInfo{}, fmt.Errorf("register handler: none given: %w", driver.ErrInvalid)
	}
	return d.register(&region{pd: pd, handler: h, length: length, addr: iova, access: a &^ driver.AccessLocalWrite})
}

func (d *Device) register(r *region) (driver.MRInfo, error) {
	if r.access&driver.AccessZeroBased != 0 {
		r.addr = 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.pds[r.pd]
	writes := r.access&(driver.AccessRemoteWrite|driver.AccessRemoteAtomic) != 0
	switch {
	case d.closed:
		return driver.MRInfo{}, driver.ErrClosed
	case !known:
		return driver.MRInfo{}, fmt.Errorf("register %d bytes: no PD %d: %w", r.length, r.pd, driver.ErrInvalid)
	case writes && r.handler == nil && r.access&driver.AccessLocalWrite == 0:
		return driver.MRInfo{}, fmt.Errorf("register %d bytes: remote writing needs local writing: %w", r.length, driver.ErrInvalid)
	case r.addr+r.length < r.addr:
		return driver.MRInfo{}, fmt.Errorf("register %d bytes at %#x: beyond the last address: %w", r.length, r.addr, driver.ErrInvalid)
	}
	r.handle, r.key = driver.MR(d.handle()), d.newKey()
	d.keys[r.key] = r
	d.mrs[r.handle] = r
	return driver.MRInfo{MR: r.handle, LKey: r.key, RKey: r.key, Addr: r.addr, Len: r.length}, nil
}

func (d *Device) DeregMR(mr driver.MR) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.mrs[mr]
	switch {
	case r == nil:
		return fmt.Errorf("deregister MR %d: %w", mr, driver.ErrInvalid)
	case r.bound > 0:
		return fmt.Errorf("deregister MR %d: %d windows are bound to it: %w", mr, r.bound, driver.ErrInvalid)
	}
	r.ended = true
	delete(d.mrs, mr)
	if d.keys[r.key] == r {
		delete(d.keys, r.key)
	}
	return nil
}

// local returns the region of a scatter/gather element, or nil if q may not use
// it so.
func (q *queuePair) local(s *driver.SGE, write bool) *region {
	r := q.d.keys[s.LKey]
	if r == nil || !r.open() || r.window != nil || r.handler != nil || r.pd != q.pd ||
		write && r.access&driver.AccessLocalWrite == 0 || !r.covers(s.Addr, uint64(s.Length)) {
		return nil
	}
	return r
}

// remote returns the region that a peer's key opens for an access, or nil. The
// order is the specification's: key, permission, overflow, range.
func (q *queuePair) remote(key uint32, need driver.Access, addr, n uint64) *region {
	r := q.d.keys[key]
	if r == nil || !r.open() || r.pd != q.pd || r.access&need != need ||
		r.window != nil && r.window.qp != q.num || addr+n < addr || !r.covers(addr, n) {
		return nil
	}
	return r
}
