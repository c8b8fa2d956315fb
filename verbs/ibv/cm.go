// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"lazystate/verbs/driver"
)

// ackTimeout is the local ack timeout of a connection whose maker names none:
// 67 ms. The kernel's own is 18 or more, a second for each lost packet.
const ackTimeout = 14

// minRNRTimer is how long a peer waits that found no receive posted: 0.64 ms.
// The kernel's connection manager leaves it at code 0, which is 655 ms.
const minRNRTimer = 12

// resolveBound is how long address and route are asked for if ctx has no deadline.
const resolveBound = 5 * time.Second

// cm is a device's connection manager: one event channel, read by one goroutine
// in Go's poller. Its ids have no queue pair of librdmacm's: the states of ours
// are changed here, between CONNECT_RESPONSE and rdma_establish, and so they
// belong to the device's own context, whatever context the id has.
type cm struct {
	d    *Device
	ch   *C.struct_rdma_event_channel
	fd   *waitFD
	done chan struct{} // the dispatcher has ended

	mu     sync.Mutex
	closed bool
	last   uintptr
	ids    map[uintptr]owner
}

// owner gets the events of an id.
type owner interface {
	event(e *cmEvent)
	Close() error
}

// cmEvent is struct rdma_cm_event, copied and acknowledged.
type cmEvent struct {
	kind   uint32 // enum rdma_cm_event_type
	status int
	id     *C.struct_rdma_cm_id
	param  driver.ConnParam // as the peer sent it
}

// newCM opens an event channel.
//
// Implements:
//
//	struct rdma_event_channel *rdma_create_event_channel(void);
func newCM(d *Device) (*cm, error) {
	ch, err := C.rdma_create_event_channel()
	if ch == nil {
		return nil, fail("rdma_create_event_channel", err)
	}
	fd, err := newWaitFD(int(ch.fd), d.attr.Name+" connections")
	if err != nil {
		C.rdma_destroy_event_channel(ch)
		return nil, err
	}
	m := &cm{d: d, ch: ch, fd: fd, done: make(chan struct{}), ids: map[uintptr]owner{}}
	go m.dispatch()
	return m, nil
}

// dispatch gives every event to its owner until the channel is closed.
//
// Implements:
//
//	int rdma_get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **event);
//	int rdma_ack_cm_event(struct rdma_cm_event *event);
func (m *cm) dispatch() {
	defer close(m.done)
	var e C.struct_lz_cm_event
	for {
		err := m.fd.wait(context.Background(), func() error {
			return check("rdma_get_cm_event", int(C.lz_cm_next(m.ch, &e)), nil)
		})
		if errors.Is(err, driver.ErrClosed) {
			return
		}
		if err == nil {
			m.deliver(&e)
		}
	}
}

func (m *cm) deliver(e *C.struct_lz_cm_event) {
	m.mu.Lock()
	to := m.ids[uintptr(e.uid)]
	m.mu.Unlock()
	ev := &cmEvent{kind: uint32(e._type), status: int(e.status), id: e.id, param: paramOf(e)}
	switch {
	case to != nil:
		to.event(ev)
	case ev.kind == C.RDMA_CM_EVENT_CONNECT_REQUEST:
		C.rdma_destroy_id(e.id) // its listener was closed meanwhile
	}
}

// paramOf turns the event's numbers round: the kernel tells what this side may
// do, package driver wants what the peer said.
func paramOf(e *C.struct_lz_cm_event) driver.ConnParam {
	p := driver.ConnParam{
		ResponderResources: uint8(e.initiator_depth), InitiatorDepth: uint8(e.responder_resources),
		RetryCount: uint8(e.retry_count), RNRRetry: uint8(e.rnr_retry_count),
	}
	for _, b := range e.private_data[:e.private_len] {
		p.Private = append(p.Private, byte(b))
	}
	return p
}

// add gives an owner its number, by which events find it.
func (m *cm) add(o owner) (uintptr, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, driver.ErrClosed
	}
	m.last++
	m.ids[m.last] = o
	return m.last, nil
}

func (m *cm) remove(uid uintptr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ids, uid)
}

// close ends the connections that are left and the dispatcher.
//
// Implements:
//
//	void rdma_destroy_event_channel(struct rdma_event_channel *channel);
func (m *cm) close() {
	m.mu.Lock()
	m.closed = true
	left := m.ids
	m.ids = map[uintptr]owner{}
	m.mu.Unlock()
	for _, o := range left {
		o.Close()
	}
	m.fd.close()
	<-m.done
	C.rdma_destroy_event_channel(m.ch)
}

// Resolve asks the kernel for the address and the route to remote.
//
// Implements:
//
//	int rdma_resolve_addr(struct rdma_cm_id *id, struct sockaddr *src_addr, struct sockaddr *dst_addr, int timeout_ms);
//	int rdma_set_option(struct rdma_cm_id *id, int level, int optname, void *optval, size_t optlen);
//	int rdma_resolve_route(struct rdma_cm_id *id, int timeout_ms);
func (m *cm) Resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort) (driver.Conn, error) {
	c, err := m.newConn()
	if err == nil {
		if err = c.resolve(ctx, local, remote); err == nil {
			return c, nil
		}
		c.Close()
	}
	return nil, fmt.Errorf("resolve %v: %w", remote, err)
}

func (c *conn) resolve(ctx context.Context, local netip.Addr, remote netip.AddrPort) error {
	var src C.struct_lz_addr
	if local.IsValid() {
		src = addrToC(netip.AddrPortFrom(local, 0))
	}
	dst := addrToC(remote)
	err := c.ask(ctx, C.RDMA_CM_EVENT_ADDR_RESOLVED, "rdma_resolve_addr", func(ms C.int) error {
		ret, err := C.lz_cm_resolve_addr(c.id, &src, &dst, ms)
		return check("rdma_resolve_addr", int(ret), err)
	})
	if err != nil {
		return err
	}
	if err := c.onDevice(); err != nil {
		return err
	}
	ret, err := C.lz_cm_ack_timeout(c.id, ackTimeout) // the route's, and so the REQ's
	if err := check("rdma_set_option", int(ret), err); err != nil {
		return err
	}
	err = c.ask(ctx, C.RDMA_CM_EVENT_ROUTE_RESOLVED, "rdma_resolve_route", func(ms C.int) error {
		ret, err := C.rdma_resolve_route(c.id, ms)
		return check("rdma_resolve_route", int(ret), err)
	})
	if err == nil {
		c.readAddrs()
	}
	return err
}

// onDevice checks that the route leaves by this device.
func (c *conn) onDevice() error {
	name := C.lz_cm_device(c.id)
	if name == nil {
		return fail("rdma_resolve_addr", syscall.ENODEV)
	}
	if got := C.GoString(name); got != c.m.d.attr.Name {
		return fmt.Errorf("the route leaves by %s, not by %s", got, c.m.d.attr.Name)
	}
	return nil
}

// ask starts one step of resolving and waits for its event.
func (c *conn) ask(ctx context.Context, want uint32, fn string, start func(ms C.int) error) error {
	bound := resolveBound
	if end, ok := ctx.Deadline(); ok {
		bound = max(time.Until(end), time.Millisecond)
	}
	if err := c.do(func() error { return start(C.int(min(bound, time.Hour).Milliseconds() + 1)) }); err != nil {
		return err
	}
	e, err := c.next(ctx)
	if err != nil {
		return err
	}
	if e.kind != want {
		return e.failure(fn)
	}
	return nil
}

func addrToC(a netip.AddrPort) C.struct_lz_addr {
	ip := a.Addr().Unmap()
	out := C.struct_lz_addr{port: C.uint16_t(a.Port())}
	if ip.Is4() {
		out.family = C.AF_INET
	} else {
		out.family = C.AF_INET6
		out.scope = C.uint32_t(scopeOf(ip.Zone()))
	}
	for i, b := range ip.AsSlice() {
		out.ip[i] = C.uint8_t(b)
	}
	return out
}
