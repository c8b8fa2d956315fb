// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"lazystate/internal/pause"
)

// asker asks a middle tier for one session, over a connection that lasts as long.
type asker struct {
	tier    *tier
	session string

	mu   sync.Mutex // of one request at a time, and of the end
	conn net.Conn
	to   string
	over bool
}

const (
	askAgain = 20 * time.Millisecond
	dialing  = 2 * time.Second
)

// ask asks until there is an answer: the same middle tier, as long as nobody says that
// it is dead, for nobody else has what it knows.
func (a *asker) ask(ctx context.Context, q *request) (reply, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		r, err := a.try(ctx, a.tier.of(a.session), q)
		if err == nil {
			return r, nil
		}
		if late := pause.For(ctx, askAgain); late != nil {
			return reply{}, errors.Join(err, late)
		}
	}
}

// try asks once; mu is held.
func (a *asker) try(ctx context.Context, n node, q *request) (reply, error) {
	if a.over {
		return reply{}, net.ErrClosed
	}
	if a.conn != nil && a.to != n.name {
		a.hangUp()
	}
	if a.conn == nil {
		c, err := (&net.Dialer{Timeout: dialing}).DialContext(ctx, "tcp", n.addr)
		if err != nil {
			return reply{}, err
		}
		a.conn, a.to = c, n.name
		a.tier.add(c, n.name)
	}
	var got answer
	err := send(a.conn, message{Request: q})
	if err == nil {
		at("asked")
		err = receive(a.conn, &got)
	}
	if err == nil && (got.ID != q.id() || !got.Reply.sound()) {
		err = fmt.Errorf("an answer to %.100q", got.ID)
	}
	if err != nil {
		a.hangUp()
		return reply{}, err
	}
	return got.Reply, nil
}

// hangUp closes the connection; mu is held.
func (a *asker) hangUp() {
	if a.conn != nil {
		a.tier.drop(a.conn)
		a.conn = nil
	}
}

// close ends it with its session.
func (a *asker) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	a.hangUp()
}
