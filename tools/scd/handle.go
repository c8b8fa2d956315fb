// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"lazystate/mtcp/migrate"
	"lazystate/mtcp/policy"
	"lazystate/tools/control"
)

// session is a line of `scd ls`.
type session struct {
	ID         string `json:"id"`
	Service    string `json:"service"`
	UID        uint32 `json:"uid"`
	Generation uint64 `json:"generation"`
	Local      string `json:"local"`
	Remote     string `json:"remote"`
	PID        int    `json:"pid"` // of the root; 0: it waits for one
	Processes  int    `json:"processes"`
	Bytes      int64  `json:"bytes"`
	Outlives   bool   `json:"outlives"`        // its box can be read when the kernel is dead
	Ended      bool   `json:"ended,omitempty"` // nothing of it can move: what is left to read is read here
}

// moved is a line of `scd move` and `scd drain`.
type moved struct {
	Address  string `json:"address"`
	To       string `json:"to"`
	Step     string `json:"step,omitempty"` // it goes on: Done of All
	Done     int    `json:"done,omitempty"`
	All      int    `json:"all,omitempty"`
	Sessions int    `json:"sessions"`
	Bytes    int64  `json:"bytes"`
	FrozenUs int64  `json:"frozen_us"` // by takeover
	By       string `json:"by"`
	Stayed   int    `json:"stayed,omitempty"` // sessions that did not move
	End      bool   `json:"end,omitempty"`    // of the answers
}

func (d *state) handle(ctx context.Context, _ control.Peer, r control.Request, send func(any) error) error {
	switch r.Cmd {
	case "ls":
		return send(d.sessions())
	case "salvage":
		return d.salvage(ctx, r, send)
	case "move", "drain":
		by, err := migrate.ParseWay(cmp.Or(r.By, migrate.ByTakeover.String()))
		if err != nil {
			return err
		}
		switch addr, bad := netip.ParseAddr(r.Target); {
		case by != migrate.ByTakeover:
			err = d.each(ctx, r, by, send)
		case r.Cmd == "drain":
			err = d.drain(ctx, r.To, send)
		case bad != nil:
			err = fmt.Errorf("%q: want an address, which moves with all its sessions", r.Target)
		default:
			err = d.move(ctx, addr, r.To, send)
		}
		return errors.Join(err, ended(err, send))
	}
	return fmt.Errorf("no command %q", r.Cmd)
}

// ended says that there are no more answers; an error says so itself.
func ended(err error, send func(any) error) error {
	if err != nil {
		return nil
	}
	return send(moved{End: true})
}

func (d *state) sessions() []session {
	out := []session{}
	for _, s := range d.keeper.Sessions() {
		out = append(out, session{
			ID: hex.EncodeToString(s.ID[:]), Service: control.Text(s.Name), UID: s.UID, Generation: s.Generation,
			Local: s.Local.String(), Remote: s.Remote.String(), PID: s.PID, Processes: s.Processes, Bytes: s.Bytes, Outlives: s.Outlives,
			Ended: d.keeper.Ended(s.ID),
		})
	}
	slices.SortFunc(out, func(a, b session) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// move moves one address; what is told on the way does not stop it if nobody
// listens any more.
func (d *state) move(ctx context.Context, addr netip.Addr, to string, send func(any) error) error {
	line := moved{Address: addr.String(), To: to, By: migrate.ByTakeover.String()}
	result, err := d.mover.Takeover(ctx, addr, to, func(p migrate.Progress) {
		if p.Done%64 == 0 || p.All > 64 && p.Done == p.All { // of a few nobody sees it, and they wait
			_ = send(moved{Address: line.Address, To: to, Step: p.Step, Done: p.Done, All: p.All})
		}
	})
	if err != nil {
		return fmt.Errorf("move %s to %s: %w", addr, to, err)
	}
	line.Sessions, line.Bytes, line.FrozenUs = result.Sessions, result.Bytes, result.Frozen.Microseconds()
	return send(line)
}

// each moves sessions one by one: those of an address, one by the beginning of
// its name, or all. Those whose connection has ended are left to their processes.
func (d *state) each(ctx context.Context, r control.Request, by migrate.Way, send func(any) error) error {
	all, err := chosen(d.sessions(), r)
	if err != nil {
		return err
	}
	plan := planned(all, r)
	line := moved{Address: r.Target, To: r.To, By: by.String()}
	failed := d.carry(ctx, plan, by, func(n int) {
		if n%64 == 0 || n == len(plan) {
			_ = send(moved{Address: r.Target, To: r.To, By: line.By, Step: "move", Done: n, All: len(plan)})
		}
	})
	line.Sessions, line.Stayed = len(plan)-len(failed), len(failed)
	err = send(line)
	for i, f := range failed {
		if i == mostFailures {
			err = errors.Join(err, fmt.Errorf("and %d more", len(failed)-i))
			break
		}
		err = errors.Join(err, fmt.Errorf("session %.12s: %w", f.move.Session, f.err))
	}
	return err
}

// chosen are the sessions that a request means. Of several whose names begin alike none is:
// who names one wants that.
func chosen(all []session, r control.Request) (out []session, err error) {
	var named []session
	for _, s := range all {
		local, err := netip.ParseAddrPort(s.Local)
		switch at := err == nil && local.Addr().Unmap().String() == r.Target; {
		case r.Cmd == "drain" || at:
			if !s.Ended {
				out = append(out, s)
			}
		case r.Target != "" && strings.HasPrefix(s.ID, r.Target):
			named = append(named, s)
		}
	}
	switch {
	case len(named) > 1:
		return nil, fmt.Errorf("%d sessions begin with %q: say more of it", len(named), r.Target)
	case len(out)+len(named) == 0 && r.Cmd == "move":
		return nil, fmt.Errorf("no session is, or is at, %q", r.Target)
	}
	return append(out, named...), nil
}

// planned says in which order they go, and why.
func planned(all []session, r control.Request) (plan []policy.Move) {
	if r.Cmd == "drain" {
		var here []policy.Session
		for _, s := range all {
			here = append(here, policy.Session{ID: s.ID, Bytes: s.Bytes})
		}
		return policy.Drain(here, r.To)
	}
	for _, s := range all {
		plan = append(plan, policy.Move{Session: s.ID, To: r.To, Reason: policy.ForLoad})
	}
	return plan
}

// mostFailures is how many are explained.
const mostFailures = 10

// drain moves all addresses that can move, one after another, and says what stays with
// those that cannot.
func (d *state) drain(ctx context.Context, to string, send func(any) error) error {
	seen := map[netip.Addr]bool{}
	var errs error
	for _, s := range d.cfg.Services {
		if a := s.Addr.Addr(); s.Device != "" && !seen[a] {
			seen[a] = true
			if here, err := d.mover.Has(a); err != nil || !here {
				errs = errors.Join(errs, err)
				continue
			}
			errs = errors.Join(errs, d.move(ctx, a, to, send))
		}
	}
	left := strays(d.sessions(), seen)
	for _, a := range slices.SortedFunc(maps.Keys(left), netip.Addr.Compare) {
		errs = errors.Join(errs, send(moved{Address: a.String(), To: to, By: migrate.ByTakeover.String(), Stayed: left[a]}),
			fmt.Errorf("%s stays with %d session(s): no service there has a device; they can go by gateway or client", a, left[a]))
	}
	return errs
}

// strays are the sessions, by their number, at addresses that are not among those that go.
// What has ended is left to its process.
func strays(all []session, going map[netip.Addr]bool) map[netip.Addr]int {
	left := map[netip.Addr]int{}
	for _, s := range all {
		at, err := netip.ParseAddrPort(s.Local)
		if a := at.Addr().Unmap(); err == nil && !s.Ended && !going[a] {
			left[a]++
		}
	}
	return left
}
