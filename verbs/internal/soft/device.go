// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"context"
	"fmt"
	"sync"

	"lazystate/verbs/driver"
)

// Carrier is the provider's half of a device.
type Carrier interface {
	// Modified is called with qp locked, after it took attributes and perhaps a
	// new state; then it was in from before.
	Modified(qp *QP, from driver.QPState) error
	// Posted is called with qp locked, when wqes were added to qp.Sends.
	Posted(qp *QP)
	// Destroyed is called with qp locked, after its last completion.
	Destroyed(qp *QP)
	// Registered and Ended tell of registrations, for a peer that looks them up itself.
	Registered(r *Region) error
	Ended(r *Region)
}

// Device has the methods of driver.Device that need no network.
type Device struct {
	attr    driver.DeviceAttr
	carrier Carrier

	keys     keys
	pds      table[driver.PD, *pd]
	channels table[driver.Channel, *channel]
	cqs      table[driver.CQ, *CQ]
	srqs     table[driver.SRQ, *SRQ]
	qps      table[driver.QP, *QP]
	mws      table[driver.MW, *window]

	nums struct { // queue pair numbers
		sync.Mutex
		next uint32
		used map[uint32]*QP
	}
	events chan driver.AsyncEvent
	closed chan struct{}
	once   sync.Once
}

// New returns a device that has made nothing yet. seed chooses the numbers of
// queue pairs and the keys.
func New(attr driver.DeviceAttr, c Carrier) *Device {
	d := &Device{attr: attr, carrier: c, events: make(chan driver.AsyncEvent, 64), closed: make(chan struct{})}
	d.nums.used = map[uint32]*QP{}
	d.nums.next = randomUint32() & 0xffffff
	return d
}

// Attr returns the device's limits and abilities.
func (d *Device) Attr() driver.DeviceAttr { return d.attr }

// Closed is closed by Shut.
func (d *Device) Closed() <-chan struct{} { return d.closed }

// Shut wakes everybody who waits. It may be called again.
func (d *Device) Shut() { d.once.Do(func() { close(d.closed) }) }

// NextEvent waits for an asynchronous event.
func (d *Device) NextEvent(ctx context.Context) (driver.AsyncEvent, error) {
	select {
	case e := <-d.events:
		return e, nil
	default:
	}
	select {
	case e := <-d.events:
		return e, nil
	case <-ctx.Done():
		return driver.AsyncEvent{}, ctx.Err()
	case <-d.closed:
		return driver.AsyncEvent{}, driver.ErrClosed
	}
}

// Raise reports an event. It is dropped when nobody takes events.
func (d *Device) Raise(e driver.AsyncEvent) {
	select {
	case d.events <- e:
	default:
	}
}

// pd counts what is in it.
type pd struct {
	handle driver.PD
	mu     sync.Mutex
	users  int
}

func (p *pd) use(n int) {
	p.mu.Lock()
	p.users += n
	p.mu.Unlock()
}

// AllocPD makes a protection domain.
func (d *Device) AllocPD() (driver.PD, error) {
	p := &pd{}
	p.handle = d.pds.add(p)
	return p.handle, nil
}

// DeallocPD ends it.
func (d *Device) DeallocPD(h driver.PD) error {
	p, err := d.pds.get(h)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users > 0 {
		return fmt.Errorf("%d objects are in it: %w", p.users, driver.ErrInvalid)
	}
	d.pds.remove(h)
	return nil
}

// CreateAH, DestroyAH: there are no datagrams.
func (d *Device) CreateAH(driver.PD, *driver.AHAttr) (driver.AH, error) {
	return 0, driver.ErrNotSupported
}
func (d *Device) DestroyAH(driver.AH) error { return driver.ErrNotSupported }

// table gives numbers to objects; 0 is none.
type table[H ~uint32, T any] struct {
	mu   sync.RWMutex
	last H
	m    map[H]T
}

func (t *table[H, T]) add(v T) H {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[H]T{}
	}
	for t.last++; t.last == 0 || t.has(t.last); { // they come round
		t.last++
	}
	t.m[t.last] = v
	return t.last
}

// has: t is locked.
func (t *table[H, T]) has(h H) bool {
	_, ok := t.m[h]
	return ok
}

func (t *table[H, T]) get(h H) (T, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.m[h]
	if !ok {
		return v, fmt.Errorf("no %T has the handle %d: %w", v, h, driver.ErrInvalid)
	}
	return v, nil
}

func (t *table[H, T]) remove(h H) {
	t.mu.Lock()
	delete(t.m, h)
	t.mu.Unlock()
}

// all returns the objects of this moment.
func (t *table[H, T]) all() []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var vs []T
	for _, v := range t.m {
		vs = append(vs, v)
	}
	return vs
}
