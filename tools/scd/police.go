// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/migrate"
	"lazystate/mtcp/policy"
	"lazystate/mtcp/wire"
	"lazystate/tools/control"
)

// restAfter is how long a session that could not be sent away is left alone.
const restAfter = 30 * time.Second

// police carries out what the configuration's policy decides (§2.6.2).
func (d *state) police(ctx context.Context) {
	rest := map[string]time.Time{}
	for t := time.NewTicker(time.Duration(d.cfg.Policy.Every)); ; {
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		for id, until := range rest {
			if time.Now().After(until) {
				delete(rest, id)
			}
		}
		plan := d.plan(rest)
		if len(plan) == 0 {
			continue
		}
		d.log.Info("the policy sends sessions away", "sessions", len(plan), "reason", plan[0].Reason, "to", plan[0].To)
		for _, f := range d.carry(ctx, plan, d.cfg.Policy.Way, func(int) {}) {
			d.log.Info("a session stays", "session", f.move.Session, "err", f.err)
			rest[f.move.Session] = time.Now().Add(restAfter)
		}
	}
}

// plan asks the policies. What one of them has named another does not.
func (d *state) plan(rest map[string]time.Time) []policy.Move {
	p := &d.cfg.Policy
	var all []policy.Session
	for _, s := range d.keeper.Sessions() {
		id := hex.EncodeToString(s.ID[:])
		if _, rests := rest[id]; rests {
			continue
		}
		all = append(all, policy.Session{ID: id, Service: control.Text(s.Name), Client: s.Remote.Addr(), Bytes: s.Bytes})
	}
	self := policy.Load{Sessions: int(d.mover.Status().Sessions), Capacity: d.cfg.Capacity}
	var others []policy.Load
	for name, s := range d.mover.Peers() {
		others = append(others, policy.Load{Name: name, Sessions: int(s.Sessions), Capacity: int(s.Capacity)})
	}
	out := p.Rules.Plan("", others, all)
	if p.Shed == nil {
		return out
	}
	named := map[string]bool{}
	for _, m := range out {
		named[m.Session] = true
	}
	left := all[:0:0]
	for _, s := range all {
		if !named[s.ID] {
			left = append(left, s)
		}
	}
	self.Sessions -= len(out)
	return append(out, (policy.Shed{High: p.Shed.High, Low: p.Shed.Low}).Plan(self, others, left)...)
}

// failure is a session that stays.
type failure struct {
	move policy.Move
	err  error
}

// atOnce is how many sessions are on their way at a time.
const atOnce = 32

// carry carries a plan out; done is told how many have been seen to.
func (d *state) carry(ctx context.Context, plan []policy.Move, by migrate.Way, done func(n int)) []failure {
	type outcome struct {
		move policy.Move
		err  error
	}
	work, outcomes := make(chan policy.Move), make(chan outcome)
	for range min(atOnce, len(plan)) {
		go func() {
			for m := range work {
				outcomes <- outcome{m, d.sendAgain(ctx, m, by)}
			}
		}()
	}
	go func() {
		for _, m := range plan {
			work <- m
		}
		close(work)
	}()
	var failed []failure
	for i := range plan {
		if o := <-outcomes; o.err != nil {
			failed = append(failed, failure(o))
		}
		done(i + 1)
	}
	return failed
}

var reasons = map[policy.Reason]wire.Reason{policy.ForLoad: wire.ReasonLoad, policy.ForDrain: wire.ReasonDrain, policy.ForContent: wire.ReasonContent}

// A session whose client says that it could not move is sent away again, so often, this
// much later: its new server may have been busy, or just not there.
const (
	attempts   = 5
	againAfter = time.Second
)

func (d *state) sendAgain(ctx context.Context, m policy.Move, by migrate.Way) error {
	for n := 1; ; n++ {
		err := d.sendAway(ctx, m, by)
		if n == attempts || !passes(err) {
			return err
		}
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
			return err
		}
	}
}

// passes reports a refusal that may be over soon: one by the client's own will is not.
func passes(err error) bool {
	var said *migrate.RefusedError
	return errors.As(err, &said) && said.Reason != wire.ReasonPolicy
}

func (d *state) sendAway(ctx context.Context, m policy.Move, by migrate.Way) error {
	id, err := hex.DecodeString(m.Session)
	if err != nil {
		return err
	}
	if d.keeper.Ended(cbox.ID(id)) {
		return errors.New("its connection has ended: what is left to read its process reads here")
	}
	return d.mover.Send(ctx, cbox.ID(id), m.To, by, reasons[m.Reason])
}
