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
	"net/netip"
	"sync"

	"lazystate/verbs/driver"
)

// listener is a listening rdma_cm_id.
type listener struct {
	m        *cm
	uid      uintptr
	addr     netip.AddrPort
	requests chan *conn

	mu     sync.Mutex
	id     *C.struct_rdma_cm_id
	closed chan struct{}
}

// Listen waits for requests at local; port 0 takes one that is free.
//
// Implements:
//
//	int rdma_bind_addr(struct rdma_cm_id *id, struct sockaddr *addr);
//	int rdma_listen(struct rdma_cm_id *id, int backlog);
func (m *cm) Listen(local netip.AddrPort, backlog int) (driver.Listener, error) {
	l := &listener{m: m, requests: make(chan *conn, max(backlog, 1)), closed: make(chan struct{})}
	if err := l.open(local, backlog); err != nil {
		return nil, fmt.Errorf("listen at %v: %w", local, err)
	}
	return l, nil
}

func (l *listener) open(local netip.AddrPort, backlog int) error {
	var err error
	if l.uid, err = l.m.add(l); err != nil {
		return err
	}
	ret, err := C.lz_cm_create_id(l.m.ch, &l.id, C.uintptr_t(l.uid))
	if err := check("rdma_create_id", int(ret), err); err != nil {
		l.m.remove(l.uid)
		return err
	}
	a := addrToC(local)
	ret, err = C.lz_cm_bind(l.id, &a)
	if err := check("rdma_bind_addr", int(ret), err); err != nil {
		l.Close()
		return err
	}
	ret, err = C.rdma_listen(l.id, C.int(backlog))
	if err := check("rdma_listen", int(ret), err); err != nil {
		l.Close()
		return err
	}
	var mine, none C.struct_lz_addr
	C.lz_cm_addrs(l.id, &mine, &none)
	l.addr = addrOf(&mine)
	return nil
}

// event is called by the dispatcher.
func (l *listener) event(e *cmEvent) {
	if e.kind != C.RDMA_CM_EVENT_CONNECT_REQUEST {
		return
	}
	c := &conn{m: l.m, id: e.id, passive: true, request: e.param, events: make(chan *cmEvent, 8), done: make(chan struct{})}
	var err error
	if c.uid, err = l.m.add(c); err != nil {
		C.rdma_destroy_id(e.id)
		return
	}
	C.lz_cm_set_uid(e.id, C.uintptr_t(c.uid)) // before its next event, which only this goroutine takes
	c.readAddrs()
	if c.onDevice() != nil || !l.queue(c) {
		c.Reject(nil)
		c.Close()
	}
}

// queue gives a request to Accept; false if the backlog is full.
func (l *listener) queue(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id == nil {
		return false
	}
	select {
	case l.requests <- c:
		return true
	default:
		return false
	}
}

// Accept returns the next request.
func (l *listener) Accept(ctx context.Context) (driver.Conn, error) {
	select {
	case c := <-l.requests:
		return c, nil
	case <-l.closed:
		return nil, driver.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Addr returns where it listens.
func (l *listener) Addr() netip.AddrPort { return l.addr }

// Close stops listening and refuses the requests that nobody has accepted.
func (l *listener) Close() error {
	l.m.remove(l.uid)
	l.mu.Lock()
	id := l.id
	l.id = nil
	l.mu.Unlock()
	if id == nil {
		return nil
	}
	close(l.closed)
	ret, err := C.rdma_destroy_id(id)
	for {
		select {
		case c := <-l.requests:
			c.Close()
		default:
			return check("rdma_destroy_id", int(ret), err)
		}
	}
}
