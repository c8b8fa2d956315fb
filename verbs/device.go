// SPDX-License-Identifier: Apache-2.0

package verbs

import (
	"context"
	"fmt"
	"sync"

	"lazystate/verbs/driver"
)

// Device is an open RDMA device.
type Device struct {
	object
	drv  driver.Device
	attr DeviceAttr
	ctx  context.Context // ends at Close, to wake who waits for events
	end  context.CancelFunc

	byHandle sync.Map // driver.QP, driver.CQ, driver.SRQ -> *QP..., for events
}

// New returns a Device over drv, which it closes.
func New(drv driver.Device) *Device {
	d := &Device{drv: drv, attr: drv.Attr()}
	d.object = object{kind: "device " + d.attr.Name, tree: new(sync.Mutex)}
	d.ctx, d.end = context.WithCancel(context.Background())
	d.trace = newTrace(&d.object)
	return d
}

// Attr returns limits and abilities.
//
// Implements:
//
//	int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *device_attr)
func (d *Device) Attr() DeviceAttr { return d.attr }

// Has reports whether the device has all of c.
func (d *Device) Has(c Caps) bool { return d.attr.Caps&c == c }

// need refuses a call that the device does not have.
func (d *Device) need(c Caps, call string) error {
	if d.Has(c) {
		return nil
	}
	return fmt.Errorf("%s of %v: %w", call, d, ErrNotSupported)
}

// Driver returns what New was given: for calls that only one provider has.
func (d *Device) Driver() driver.Device { return d.drv }

// Close closes the device; *BusyError while something of it is open.
//
// Implements:
//
//	int ibv_close_device(struct ibv_context *context)
func (d *Device) Close() error {
	return d.close(func() error {
		d.end()
		return d.drv.Close()
	})
}

// Port is a port of a device, numbered from 1.
type Port struct {
	PortAttr
	dev *Device
}

// Port returns the port as it is now.
//
// Implements:
//
//	int ibv_query_port(struct ibv_context *context, uint8_t port_num, struct ibv_port_attr *port_attr)
func (d *Device) Port(num int) (*Port, error) {
	attr, err := d.drv.Port(num)
	if err != nil {
		return nil, fmt.Errorf("query port %d of %v: %w", num, d, err)
	}
	return &Port{PortAttr: attr, dev: d}, nil
}

// GIDs returns the rows of the port's GID table that are in use.
//
// Implements:
//
//	int ibv_query_gid(struct ibv_context *context, uint8_t port_num, int index, union ibv_gid *gid)
func (p *Port) GIDs() ([]GIDEntry, error) {
	gids, err := p.dev.drv.GIDs(p.Num)
	if err != nil {
		return nil, fmt.Errorf("query gids of port %d of %v: %w", p.Num, p.dev, err)
	}
	return gids, nil
}

// Event is an asynchronous event, with the object of this package that it is
// about; all nil if that is closed by now or if it is about the device.
type Event struct {
	AsyncEvent
	QP  *QP
	CQ  *CQ
	SRQ *SRQ
}

// NextEvent waits for an asynchronous event; ErrNotSupported without CapEvents.
//
// Implements:
//
//	int ibv_get_async_event(struct ibv_context *context, struct ibv_async_event *event)
//	void ibv_ack_async_event(struct ibv_async_event *event)
func (d *Device) NextEvent(ctx context.Context) (Event, error) {
	if err := d.need(CapEvents, "wait for an event"); err != nil {
		return Event{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	e, err := d.drv.NextEvent(ctx)
	switch {
	case err != nil && d.ctx.Err() != nil:
		return Event{}, fmt.Errorf("wait for an event of %v: %w", d, ErrClosed)
	case err != nil:
		return Event{}, fmt.Errorf("wait for an event of %v: %w", d, err)
	}
	ev := Event{AsyncEvent: e}
	if o, ok := d.byHandle.Load(e.QP); ok {
		ev.QP, _ = o.(*QP)
	}
	if o, ok := d.byHandle.Load(e.CQ); ok {
		ev.CQ, _ = o.(*CQ)
	}
	if o, ok := d.byHandle.Load(e.SRQ); ok {
		ev.SRQ, _ = o.(*SRQ)
	}
	return ev, nil
}
