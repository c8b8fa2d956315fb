// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"lazystate/examples/outcome"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// middle is a middle tier's process.
type middle struct {
	name   string // of its node: what all its connections to the database are called
	ledger *ledger
	free   chan *outcome.DB // connections that nobody uses
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

// serveMiddle serves until ctx ends; without a keeper sessions end with the process.
func serveMiddle(ctx context.Context, cfg middleConfig, log *slog.Logger) error {
	m := &middle{name: cfg.name, ledger: newLedger(), free: make(chan *outcome.DB, cfg.connections), log: log}
	for range cfg.connections {
		m.free <- &outcome.DB{DSN: cfg.database, Name: actsAs(cfg.name)}
	}
	k, err := keeper.Dial(cfg.keeper, middleService)
	if err != nil {
		return err
	}
	l, err := k.Listen(ctx, "tcp", cfg.listen, cbox.Config{Snapshot: snapshotRoom, Log: 2 * mostLine})
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

// actsAs is the name in which a node's transactions are made.
func actsAs(node string) string { return "auction " + node }

func (m *middle) accept(ctx context.Context, l *keeper.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		c, ok := conn.(*cbox.Conn)
		if !ok {
			m.log.Warn("a connection without a box is closed", "remote", conn.RemoteAddr())
			_ = conn.Close()
			continue
		}
		go newLine(m, c).serve(ctx)
	}
}

// use lends a connection to the database.
func (m *middle) use(ctx context.Context, f func(*outcome.DB) error) error {
	select {
	case db := <-m.free:
		defer func() { m.free <- db }()
		return f(db)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// adopt takes on what a dead middle tier has left, once nothing acts in its name at the
// database any more: what that had begun and not exported holds locks, and what was
// under way would still be done.
func (m *middle) adopt(ctx context.Context, a *adoption, h home) error {
	err := m.use(ctx, func(db *outcome.DB) error { return db.End(ctx, actsAs(a.Of)) })
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
