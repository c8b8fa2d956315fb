// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"fmt"

	"lazystate/verbs/driver"
)

// window is a memory window of type 2B: bound by a queue pair's work request,
// and open to that queue pair's peer only.
type window struct {
	handle driver.MW
	pd     driver.PD
	key    uint32 // the upper 24 bits stay
	qp     uint32 // bound by; 0: not bound
	on     *region
}

func (d *Device) AllocMW(pd driver.PD) (driver.MW, uint32, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.pds[pd]; !ok {
		return 0, 0, fmt.Errorf("alloc window: no PD %d: %w", pd, driver.ErrInvalid)
	}
	w := &window{handle: driver.MW(d.handle()), pd: pd, key: d.newKey() &^ 0xff}
	d.windows[w.handle] = w
	return w.handle, w.key, nil
}

func (d *Device) DeallocMW(h driver.MW) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.windows[h]
	if w == nil {
		return fmt.Errorf("dealloc window %d: %w", h, driver.ErrInvalid)
	}
	w.unbind(d)
	delete(d.windows, h)
	return nil
}

// unbind closes the window.
func (w *window) unbind(d *Device) {
	if w.on == nil {
		return
	}
	w.on.ended = true
	w.on.parent.bound--
	if d.keys[w.on.key] == w.on {
		delete(d.keys, w.on.key)
	}
	w.on, w.qp = nil, 0
}

// actLocal executes what a request does to keys of this side.
func (q *queuePair) actLocal(w *sendWQE) driver.WCStatus {
	switch {
	case w.op == driver.OpBindMW:
		return q.bind(&w.bind)
	case !q.invalidate(w.imm):
		return driver.WCLocQPOpErr
	}
	return driver.WCSuccess
}

func (q *queuePair) bind(b *driver.MWBind) driver.WCStatus {
	d := q.d
	w, r := d.windows[b.MW], d.mrs[b.MR]
	switch {
	case w == nil || r == nil || w.pd != q.pd || r.pd != q.pd || w.on != nil || !r.open(),
		r.access&driver.AccessMWBind == 0, b.RKey&^0xff != w.key, d.keys[b.RKey] != nil,
		b.Access&(driver.AccessRemoteWrite|driver.AccessRemoteAtomic) != 0 && r.access&driver.AccessLocalWrite == 0 && r.handler == nil,
		b.Length == 0 || b.Addr+b.Length < b.Addr || !r.covers(b.Addr, b.Length):
		return driver.WCMWBindErr
	}
	on := &region{
		pd: q.pd, key: b.RKey, access: b.Access & remoteAccess, addr: b.Addr, length: b.Length,
		handler: r.handler, base: b.Addr - r.addr, window: w, parent: r,
	}
	if r.handler == nil {
		off := b.Addr - r.addr
		on.bytes = r.bytes[off : off+b.Length]
	}
	if b.Access&driver.AccessZeroBased != 0 {
		on.addr = 0
	}
	w.on, w.qp = on, q.num
	r.bound++
	d.keys[b.RKey] = on
	return driver.WCSuccess
}

// invalidate closes a window that this queue pair bound. A registration ends with
// DeregMR only: other peers use it too, and it may be where we receive.
func (q *queuePair) invalidate(key uint32) bool {
	r := q.d.keys[key]
	if r == nil || r.window == nil || r.window.qp != q.num {
		return false
	}
	r.window.unbind(q.d)
	return true
}
