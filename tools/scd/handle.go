// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lazystate/mtcp/migrate"
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
	FrozenUs int64  `json:"frozen_us"`
	End      bool   `json:"end,omitempty"` // of the answers
}

func (d *state) handle(ctx context.Context, _ control.Peer, r control.Request, send func(any) error) error {
	switch r.Cmd {
	case "ls":
		return send(d.sessions())
	case "move":
		addr, err := netip.ParseAddr(r.Target)
		if err != nil {
			return err
		}
		err = d.move(ctx, addr, r.To, send)
		return errors.Join(err, ended(err, send))
	case "drain":
		err := d.drain(ctx, r.To, send)
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
			Local: s.Local, Remote: s.Remote, PID: s.PID, Processes: s.Processes, Bytes: s.Bytes,
		})
	}
	slices.SortFunc(out, func(a, b session) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// move moves one address; what is told on the way does not stop it if nobody
// listens any more.
func (d *state) move(ctx context.Context, addr netip.Addr, to string, send func(any) error) error {
	line := moved{Address: addr.String(), To: to}
	result, err := d.mover.Takeover(ctx, addr, to, func(p migrate.Progress) {
		if p.Done%64 == 0 || p.Done == p.All {
			_ = send(moved{Address: line.Address, To: to, Step: p.Step, Done: p.Done, All: p.All})
		}
	})
	if err != nil {
		return fmt.Errorf("move %s to %s: %w", addr, to, err)
	}
	line.Sessions, line.Bytes, line.FrozenUs = result.Sessions, result.Bytes, result.Frozen.Microseconds()
	return send(line)
}

// drain moves all addresses that can move, one after another.
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
	return errs
}
