// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"lazystate/mtcp/cbox"
)

// line is a connection of a middle tier: a session of a front end's, or a monitor. It
// stays open after its end, as long as its box has the only record of something.
type line struct {
	m *middle
	c box

	learn func() error // what the process before has left here; once
	left  *state

	mu      sync.Mutex
	records int // of the ledger, that this box has
	over    bool
}

func (m *middle) line(ctx context.Context, c box) *line {
	l := &line{m: m, c: c}
	l.learn = sync.OnceValue(func() error { return l.learnLeft(ctx) })
	return l
}

// box is a connection with a continuation box.
type box interface {
	net.Conn
	Import() ([]byte, bool)
	Export(state []byte) error
}

// plain is one without: what it had ends with its process.
type plain struct{ net.Conn }

func (plain) Import() ([]byte, bool) { return nil, false }

func (plain) Export([]byte) error { return nil }

func (l *line) holds() { l.count(1) }

func (l *line) leaves() { l.count(-1) }

func (l *line) count(by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records += by
	l.closeIf()
}

// closeIf closes the connection when nobody needs it; mu is held.
func (l *line) closeIf() {
	if _, kept := l.c.(*cbox.Conn); l.over && (l.records == 0 || !kept) {
		_ = l.c.Close()
	}
}

func (l *line) serve(ctx context.Context) {
	err := l.run(ctx)
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, cbox.ErrMigrated) && ctx.Err() == nil {
		l.m.log.Warn("a line ends", "of", l.c.RemoteAddr(), "err", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.closeIf()
}

func (l *line) run(ctx context.Context) error {
	if err := l.learn(); err != nil {
		return err
	}
	if l.left != nil {
		if err := l.resume(ctx); err != nil {
			return err
		}
	}
	for {
		var m message
		if err := receive(l.c, &m); err != nil {
			return err
		}
		if err := l.handle(ctx, m); err != nil {
			return err
		}
	}
}

// learnLeft has the ledger know what the process before has left here.
func (l *line) learnLeft(ctx context.Context) error {
	snap, ok := l.c.Import()
	if !ok {
		return nil
	}
	at("learning")
	st, err := decode(snap)
	if err != nil {
		return err
	}
	l.left = &st
	return l.m.learnAll(ctx, st.Records, l)
}

// resume says what the process before was about to say, or has said: then it is
// swallowed. It may have died before it had ended what acts in a dead one's name.
func (l *line) resume(ctx context.Context) error {
	if l.left.Of == "" {
		return l.answer(ctx, &l.left.Records[0].Request)
	}
	if err := l.m.adopt(ctx, &adoption{l.left.Of, l.left.Records}, l); err != nil {
		return err
	}
	return send(l.c, answer{Adopted: len(l.left.Records)})
}

func (l *line) handle(ctx context.Context, m message) error {
	switch {
	case m.Request != nil && len(m.Request.Session) == 32:
		at("heard")
		return l.answer(ctx, m.Request)
	case m.Adopt != nil:
		return l.adopt(ctx, m.Adopt)
	}
	return fmt.Errorf("neither a request nor an adoption")
}

// adopt: what was adopted is in the box before the monitor is told.
func (l *line) adopt(ctx context.Context, a *adoption) error {
	if a.Of == "" || a.Of == l.m.name {
		return fmt.Errorf("%s is to adopt what %q had", l.m.name, a.Of)
	}
	for i := range a.Records {
		if err := a.Records[i].check(); err != nil {
			return err
		}
	}
	if len(a.Records) > 0 {
		if err := l.export(state{Records: a.Records, Of: a.Of}); err != nil {
			return err
		}
	}
	if err := l.m.adopt(ctx, a, l); err != nil {
		return err
	}
	return send(l.c, answer{Adopted: len(a.Records)})
}

// answer does a request, if nobody has, and says the reply.
func (l *line) answer(ctx context.Context, q *request) error {
	e, err := l.m.ledger.take(ctx, q.Session, q.Begins)
	if err != nil {
		return err
	}
	defer e.give()
	if e.rec != nil && e.home != home(l) { // it was asked for over another line: who asks here may outlive that
		if err := l.export(state{Records: []record{*e.rec}}); err != nil {
			return err
		}
		e.set(e.rec, e.settled, l)
	}
	if err := l.decide(ctx, e, q); err != nil {
		return err
	}
	err = send(l.c, answer{ID: q.id(), Reply: e.rec.Reply})
	at("replied")
	return err
}

func (l *line) export(st state) error {
	snap, err := st.encode()
	if err != nil {
		return err
	}
	return l.c.Export(snap)
}
