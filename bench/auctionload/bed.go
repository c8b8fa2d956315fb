// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"lazystate/examples/outcome/postgres"
	"lazystate/tools/testbed"
)

// Site says who of an auction is recoverable.
type Site struct{ Front, Middle bool }

// Bed is an auction that runs: front ends are S1 and S2, middle tiers the other two.
type Bed struct {
	*testbed.Bed
	DSN string
}

// Sizes of the database.
const (
	categories = 20
	users      = 1000
	items      = 2000
)

const patience = 2 * time.Minute

// On has an auction run, and used.
func On(ctx context.Context, site Site, use func(b *Bed) error) (err error) {
	c, err := postgres.Start("auction")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	dsn, err := c.Create(ctx, "auction")
	if err != nil {
		return err
	}
	cfg := testbed.Config{Service: "auction-front", Servers: 4, Clients: []testbed.Link{{}}}
	return testbed.Run(ctx, cfg, func(b *testbed.Bed) error {
		s := &Bed{b, dsn}
		if err := s.fill(ctx); err != nil {
			return err
		}
		if err := s.start(ctx, site); err != nil {
			return err
		}
		return use(s)
	})
}

// fill makes the tables, by the auction's own command.
func (s *Bed) fill(ctx context.Context) error {
	p, err := s.Launch(s.S1.Host, "auction", "init", "--database", s.DSN,
		"--categories", fmt.Sprint(categories), "--users", fmt.Sprint(users), "--items", fmt.Sprint(items))
	if err != nil {
		return err
	}
	if err := p.Ended(ctx); err != nil {
		return fmt.Errorf("auction init: %w: %s", err, p.Said())
	}
	return nil
}

func (s *Bed) start(ctx context.Context, site Site) error {
	keeper := func(has bool) string {
		if has {
			return "KEEPER"
		}
		return ""
	}
	middle := ""
	for i, at := range s.Sites[2:] {
		name := fmt.Sprintf("mt%d", i+1)
		if _, err := at.Serve(ctx, "auction", "middle", "--name", name, "--keeper", keeper(site.Middle), "--listen", "0.0.0.0:PORT", "--database", s.DSN); err != nil {
			return err
		}
		if middle != "" {
			middle += ","
		}
		middle += name + "=" + at.Addr.String()
	}
	for _, at := range s.Sites[:2] {
		if _, err := at.Serve(ctx, "auction", "front", "--keeper", keeper(site.Front), "--listen", "0.0.0.0:PORT", "--control", "127.0.0.1:5002", "--middle", middle); err != nil {
			return err
		}
	}
	return nil
}

// fronts are where clients may go: half of them to each.
func (s *Bed) fronts() []netip.AddrPort { return []netip.AddrPort{s.S1.Addr, s.S2.Addr} }
