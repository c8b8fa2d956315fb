// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"lazystate/mtcp/web"
)

// asker asks a middle tier for one session, over a connection that lasts as long.
type asker struct {
	tier    *tier
	session string
	log     *slog.Logger
	count   uint64 // of requests, where there is no box to say where they begin

	mu   sync.Mutex // of one request at a time, and of the end
	conn net.Conn
	to   string
	over bool
	last string // request that was sent, and to whom
	whom string
}

// request is the one that a session is at: s is nil if it has no box.
func (a *asker) request(s *web.Conn) *request {
	if s == nil {
		a.count++
		return &request{Session: a.session, Begins: a.count, Admitted: time.Now().UnixNano()}
	}
	return &request{Session: a.session, Begins: s.Begins(), Admitted: s.Date().UnixNano()}
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
		n, changed := a.tier.of(a.session)
		r, err := a.try(ctx, n, changed, q)
		if err == nil {
			return r, nil
		}
		if late := pauseUntil(ctx, changed); late != nil {
			return reply{}, errors.Join(err, late)
		}
	}
}

// pauseUntil waits a little, and not at all once somebody has said that another is to
// be asked.
func pauseUntil(ctx context.Context, changed <-chan struct{}) error {
	t := time.NewTimer(askAgain)
	defer t.Stop()
	select {
	case <-changed:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try asks once; mu is held.
func (a *asker) try(ctx context.Context, n node, changed <-chan struct{}, q *request) (reply, error) {
	if a.over {
		return reply{}, net.ErrClosed
	}
	if a.conn != nil && a.to != n.name {
		a.hangUp()
	}
	if a.conn == nil {
		c, err := dialUntil(ctx, changed, n.addr)
		if err != nil {
			return reply{}, err
		}
		a.conn, a.to = c, n.name
		a.tier.add(c, n.name, a.session)
	}
	var got answer
	err := send(a.conn, message{Request: q})
	if err == nil {
		a.sent(q, n)
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

// sent notes whom a request was sent to; a reissue is logged (Figure 3.11), with its
// moment in microseconds since 1970.
func (a *asker) sent(q *request, n node) {
	if id := q.id(); a.last != id {
		a.last = id
	} else if a.whom != n.name {
		a.log.Info("reissued", "request", id, "to", n.name, "us", time.Now().UnixMicro())
	}
	a.whom = n.name
}

// dialUntil gives up as soon as somebody says that it is in vain: a dead machine says
// nothing.
func dialUntil(ctx context.Context, vain <-chan struct{}, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialing)
	defer cancel()
	go func() {
		select {
		case <-vain:
			cancel()
		case <-ctx.Done():
		}
	}()
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
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
