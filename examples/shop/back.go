// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"lazystate/examples/outcome"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
)

// back serves the sessions that the keeper hands it until ctx ends.
func back(ctx context.Context, socket, dsn string, log *slog.Logger) error {
	k, err := keeper.Dial(socket, backName)
	if err != nil {
		return err
	}
	taken := make(chan error, 1)
	go func() { taken <- takeAll(ctx, k, dsn, log) }()
	select {
	case err := <-taken:
		return err
	case <-ctx.Done():
		return nil
	}
}

func takeAll(ctx context.Context, k *keeper.Client, dsn string, log *slog.Logger) error {
	for {
		p, err := k.Take()
		if err != nil {
			return err
		}
		s, err := cbox.Open(p.Region, p.Slot, k.Config(cbox.Config{}))
		if err != nil {
			_ = p.Region.File.Close()
			if !errors.Is(err, net.ErrClosed) && !errors.Is(err, cbox.ErrMigrated) {
				log.Error("open a session", "session", p.Session, "err", err)
			}
			continue
		}
		go func() {
			b := &seller{s: s, ch: s.Channels()[0], log: log.With("session", s.ID()), db: outcome.DB{DSN: dsn, Name: fmt.Sprintf("shop %x", s.ID()), Alone: true}}
			defer b.db.Close()
			err := b.run(ctx)
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, cbox.ErrMigrated) {
				err = nil // the client has gone, or the session
			}
			if err != nil {
				b.log.Error("serve a session", "err", err)
			}
			_ = s.Close()
		}()
	}
}

// seller is the back end of one session.
type seller struct {
	s   *cbox.Session
	ch  *cbox.Channel
	log *slog.Logger
	db  outcome.DB
	seq uint64 // of the last request
}

func (b *seller) run(ctx context.Context) error {
	if snap, ok := b.s.Import(); ok {
		st, err := decode(snap)
		if err != nil {
			return err
		}
		if err := b.resume(ctx, st); err != nil {
			return err
		}
	}
	for {
		order, err := readLine(b.ch)
		if err != nil {
			return err
		}
		b.seq++
		if err := b.sell(ctx, order); err != nil {
			return err
		}
	}
}

// row names the request in the books.
func (b *seller) row() row { return row{fmt.Sprintf("%x", b.s.ID()), b.seq} }

// resume says what the process before was about to say, or has said: then it
// is swallowed.
func (b *seller) resume(ctx context.Context, st state) error {
	b.seq = st.Seq
	if st.Reply != "" {
		return b.say(st.Reply)
	}
	reply, again, err := b.settle(ctx, st.Txn)
	if err != nil {
		return b.decide(err)
	}
	if again {
		return b.sell(ctx, st.Order)
	}
	return b.say(reply)
}

// sell makes an order in a transaction, again if that was aborted.
func (b *seller) sell(ctx context.Context, order string) error {
	for {
		t, err := take(ctx, &b.db, b.row(), order)
		if err != nil {
			return b.decide(err)
		}
		at("begun")
		if err := b.export(state{Seq: b.seq, Order: order, Txn: t.name}); err != nil {
			return err // another process has the session: it rolls back with the connection
		}
		at("exported")
		err = t.commit(ctx)
		at("committed")
		reply, again := t.reply, false
		if err != nil { // it may have been, for all we know
			b.log.Warn("commit", "xid", t.name.XID, "err", err)
			b.db.Close()
			if reply, again, err = b.settle(ctx, t.name); err != nil {
				return b.decide(err)
			}
		}
		if !again {
			return b.say(reply)
		}
	}
}

// settle finds out what became of a transaction; again: nothing.
func (b *seller) settle(ctx context.Context, t outcome.Txn) (reply string, again bool, err error) {
	o, err := b.db.Settle(ctx, t, b.row().found(&reply), func(o outcome.Outcome) {
		b.log.Info("asked", "xid", t.XID, "outcome", o.String())
		at(o.String())
	})
	return reply, o == outcome.Aborted, err
}

// decide says that something cannot be known or done. That might be otherwise
// in a replay, so it is settled first.
func (b *seller) decide(cause error) error {
	b.log.Error("order", "seq", b.seq, "err", cause)
	reply := "unavailable: " + cause.Error()
	if errors.Is(cause, outcome.ErrUnknown) {
		reply = unknown + cause.Error()
	}
	reply = oneLine(reply)
	if err := b.export(state{Seq: b.seq, Reply: reply}); err != nil {
		return err
	}
	return b.say(reply)
}

const unknown = "unknown: "

func oneLine(s string) string {
	b := []byte(s[:min(len(s), mostLine-1)])
	for i := range b {
		if b[i] < ' ' {
			b[i] = ' '
		}
	}
	return string(b)
}

func (b *seller) export(st state) error {
	snap, err := st.encode()
	if err != nil {
		return err
	}
	return b.s.Export(snap)
}

func (b *seller) say(reply string) error {
	_, err := io.WriteString(b.ch, reply+"\n")
	at("replied")
	return err
}
