// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"lazystate/examples/outcome"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// middle is a middle tier's process.
type middle struct {
	name   string // of its node: what all its connections to the database are called
	ledger *ledger
	free   chan *outcome.DB   // connections that nobody uses
	apart  chan *outcome.DB   // one more, for what the others may all be waiting for
	ends   singleflight.Group // of what acts in the name of one that is dead
	log    *slog.Logger
}

// middleService is what processes call themselves at a keeper.
const middleService = "auction-middle"

// snapshotRoom is as much as a line, and what stands around it.
const snapshotRoom = mostLine + 2<<10

type middleConfig struct {
	name, keeper, listen, database string
	connections                    int // to the database
}

// serveMiddle serves until ctx ends.
func serveMiddle(ctx context.Context, cfg middleConfig, log *slog.Logger) error {
	m := &middle{name: cfg.name, ledger: newLedger(), free: make(chan *outcome.DB, cfg.connections), apart: make(chan *outcome.DB, 1), log: log}
	for range cfg.connections {
		m.free <- &outcome.DB{DSN: cfg.database, Name: actsAs(cfg.name)}
	}
	go func() { // who needs it is in a hurry
		db := &outcome.DB{DSN: cfg.database, Name: actsAs(cfg.name)}
		_, _ = db.Conn(ctx)
		m.apart <- db
	}()
	l, err := listen(ctx, cfg.keeper, middleService, cfg.listen, cbox.Config{Snapshot: snapshotRoom, Log: 2 * mostLine})
	if err != nil {
		return err
	}
	accepted := make(chan error, 1)
	go func() { accepted <- m.accept(ctx, l) }()
	forget := time.NewTicker(memory / 10)
	defer forget.Stop()
	for {
		select {
		case err := <-accepted:
			return err
		case now := <-forget.C:
			m.ledger.forget(now.Add(-memory))
		case <-ctx.Done():
			return nil // the keeper has the sessions
		}
	}
}

// listen has sessions with boxes, or without a keeper ordinary connections, to compare.
func listen(ctx context.Context, socket, service, addr string, boxes cbox.Config) (net.Listener, error) {
	if socket == "" {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	}
	k, err := keeper.Dial(socket, service)
	if err != nil {
		return nil, err
	}
	return k.Listen(ctx, "tcp", addr, boxes)
}

// actsAs is the name in which a node's transactions are made.
func actsAs(node string) string { return "auction " + node }

func (m *middle) accept(ctx context.Context, l net.Listener) error {
	if l, ok := l.(leaver); ok {
		if err := m.goOn(ctx, l); err != nil {
			return err
		}
	}
	_, ordinary := l.(*net.TCPListener)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		c, ok := conn.(box)
		switch {
		case ok:
		case ordinary:
			c = plain{conn}
		default:
			m.log.Warn("a connection without a box is closed", "remote", conn.RemoteAddr())
			_ = conn.Close()
			continue
		}
		go m.line(ctx, c).serve(ctx)
	}
}

// leaver is a listener that has what the process before has left: see keeper.Listener.
type leaver interface {
	Left() ([]net.Conn, error)
}

// goOn goes on with what the process before has left, when it knows all of it: the record
// of a request may lie in another box than that of the line over which it is asked for,
// which may have been read from and not exported yet, or wait to be accepted.
func (m *middle) goOn(ctx context.Context, l leaver) error {
	left, err := l.Left()
	if err != nil {
		return err
	}
	var lines []*line
	for _, conn := range left {
		if c, ok := conn.(box); ok {
			l := m.line(ctx, c)
			_ = l.learn() // serve says so
			lines = append(lines, l)
		}
	}
	for _, l := range lines {
		go l.serve(ctx)
	}
	return nil
}

// use lends a connection to the database.
func (m *middle) use(ctx context.Context, f func(*outcome.DB) error) error {
	return lend(ctx, m.free, f)
}

func lend(ctx context.Context, from chan *outcome.DB, f func(*outcome.DB) error) error {
	select {
	case db := <-from:
		defer func() { from <- db }()
		return f(db)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// adopt takes on what a dead middle tier has left, once nothing acts in its name at the
// database any more: what that had begun and not exported holds locks, for which all
// our connections may be waiting, and what was under way would still be done. A monitor
// sends the records over many connections at once: all were sent when the dead one could
// begin nothing any more, so an end that is under way counts for who comes meanwhile.
func (m *middle) adopt(ctx context.Context, a *adoption, h home) error {
	_, err, _ := m.ends.Do(a.Of, func() (any, error) {
		return nil, lend(ctx, m.apart, func(db *outcome.DB) error {
			return db.Try(ctx, func(*pgx.Conn) error { return db.End(ctx, actsAs(a.Of)) })
		})
	})
	if err != nil {
		return err
	}
	return m.learnAll(ctx, a.Records, h)
}

func (m *middle) learnAll(ctx context.Context, all []record, h home) error {
	for i := range all {
		if err := m.ledger.learn(ctx, &all[i], h); err != nil {
			return err
		}
	}
	return nil
}
