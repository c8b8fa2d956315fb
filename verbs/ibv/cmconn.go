// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"lazystate/verbs/driver"
)

// disconnectBound is how long Disconnect waits for the peer's answer.
const disconnectBound = 5 * time.Second

// conn is one rdma_cm_id.
type conn struct {
	m             *cm
	uid           uintptr
	events        chan *cmEvent // of resolving and connecting: never more than a few
	done          chan struct{}
	local, remote netip.AddrPort
	passive       bool // it came from a listener
	request       driver.ConnParam

	mu    sync.Mutex // over calls with id, which Close ends
	id    *C.struct_rdma_cm_id
	qp    *qp
	ended bool // done is closed
}

// newConn makes an id.
//
// Implements:
//
//	int rdma_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context, enum rdma_port_space ps);
func (m *cm) newConn() (*conn, error) {
	c := &conn{m: m, events: make(chan *cmEvent, 8), done: make(chan struct{})}
	var err error
	if c.uid, err = m.add(c); err != nil {
		return nil, err
	}
	ret, err := C.lz_cm_create_id(m.ch, &c.id, C.uintptr_t(c.uid))
	if err := check("rdma_create_id", int(ret), err); err != nil {
		m.remove(c.uid)
		return nil, err
	}
	return c, nil
}

// do calls a function of librdmacm on the id, unless that is gone.
func (c *conn) do(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id == nil {
		return driver.ErrClosed
	}
	return f()
}

// event is called by the dispatcher.
func (c *conn) event(e *cmEvent) {
	switch e.kind {
	case C.RDMA_CM_EVENT_DISCONNECTED, C.RDMA_CM_EVENT_DEVICE_REMOVAL:
		c.end()
	case C.RDMA_CM_EVENT_TIMEWAIT_EXIT, C.RDMA_CM_EVENT_ADDR_CHANGE:
	default:
		select {
		case c.events <- e:
		default: // nobody waits for so many: none of them is part of connecting
		}
	}
}

// end answers the peer's DREQ, if it was that, and tells that it is over.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	if c.qp != nil {
		c.qp.fail()
	}
	if c.id != nil {
		C.rdma_disconnect(c.id) // DREP; after our own DREQ it does nothing
	}
	close(c.done)
}

// next waits for an event of connecting.
func (c *conn) next(ctx context.Context) (*cmEvent, error) {
	select {
	case e := <-c.events:
		return e, nil
	case <-c.done:
		return nil, driver.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// failure is what an event says that is not the one waited for.
//
// Implements:
//
//	const char *rdma_event_str(enum rdma_cm_event_type event);
func (e *cmEvent) failure(fn string) error {
	switch e.kind {
	case C.RDMA_CM_EVENT_REJECTED:
		return &driver.RejectError{Reason: driver.RejectReason(e.status), Private: e.param.Private}
	case C.RDMA_CM_EVENT_UNREACHABLE:
		return driver.ErrUnreachable
	}
	name := C.GoString(C.rdma_event_str(e.kind))
	if e.status < 0 {
		return fmt.Errorf("%s: %w", name, &Error{fn, syscall.Errno(-e.status)})
	}
	return fmt.Errorf("%s: %w", name, &Error{fn, syscall.EPROTO})
}

// Local returns this side's address.
//
// Implements:
//
//	struct sockaddr *rdma_get_local_addr(struct rdma_cm_id *id);
func (c *conn) Local() netip.AddrPort { return c.local }

// Remote returns the peer's address.
//
// Implements:
//
//	struct sockaddr *rdma_get_peer_addr(struct rdma_cm_id *id);
func (c *conn) Remote() netip.AddrPort { return c.remote }

// Request returns what the active side sent.
func (c *conn) Request() driver.ConnParam { return c.request }

// Done is closed when either side has disconnected.
func (c *conn) Done() <-chan struct{} { return c.done }

func (c *conn) readAddrs() {
	var l, r C.struct_lz_addr
	C.lz_cm_addrs(c.id, &l, &r)
	c.local, c.remote = addrOf(&l), addrOf(&r)
}

// Reject refuses a request.
//
// Implements:
//
//	int rdma_reject(struct rdma_cm_id *id, const void *private_data, uint8_t private_data_len);
func (c *conn) Reject(private []byte) error {
	if len(private) > driver.MaxRejectPrivate {
		return fmt.Errorf("reject with %d bytes of private data, at most %d: %w", len(private), driver.MaxRejectPrivate, driver.ErrInvalid)
	}
	return c.do(func() error {
		ret, err := C.rdma_reject(c.id, unsafe.Pointer(unsafe.SliceData(private)), C.uint8_t(len(private)))
		return check("rdma_reject", int(ret), err)
	})
}

// Disconnect ends the connection and waits for the peer's answer.
//
// Implements:
//
//	int rdma_disconnect(struct rdma_cm_id *id);
func (c *conn) Disconnect(ctx context.Context) error {
	c.mu.Lock()
	if c.ended || c.id == nil {
		c.mu.Unlock()
		return nil
	}
	if c.qp != nil {
		c.qp.fail()
	}
	ret, err := C.rdma_disconnect(c.id)
	c.mu.Unlock()
	if err := check("rdma_disconnect", int(ret), err); err != nil {
		return err
	}
	bound := time.NewTimer(disconnectBound)
	defer bound.Stop()
	select {
	case <-c.done:
		return nil
	case <-bound.C: // the peer is gone: so is the connection
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.end()
	return err
}

// Close ends the id; a connection that is still there ends with it.
//
// Implements:
//
//	int rdma_destroy_id(struct rdma_cm_id *id);
func (c *conn) Close() error {
	c.m.remove(c.uid)
	c.mu.Lock()
	id := c.id
	c.id = nil
	if !c.ended {
		c.ended = true
		if c.qp != nil {
			c.qp.fail()
		}
		close(c.done)
	}
	c.mu.Unlock()
	if id == nil {
		return nil
	}
	ret, err := C.rdma_destroy_id(id)
	return check("rdma_destroy_id", int(ret), err)
}

func addrOf(a *C.struct_lz_addr) netip.AddrPort {
	var b [16]byte
	for i := range b {
		b[i] = byte(a.ip[i])
	}
	switch a.family {
	case C.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), uint16(a.port))
	case C.AF_INET6:
		ip := netip.AddrFrom16(b)
		if a.scope != 0 {
			ip = ip.WithZone(netdevName(int(a.scope)))
		}
		return netip.AddrPortFrom(ip, uint16(a.port))
	}
	return netip.AddrPort{}
}

// scopeOf returns the interface of a link-local address's zone, 0 if it has none.
func scopeOf(zone string) int {
	if zone == "" {
		return 0
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return i.Index
	}
	n, _ := strconv.Atoi(zone)
	return n
}
