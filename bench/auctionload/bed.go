// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"lazystate/backdoor"
	"lazystate/examples/auction/load"
	"lazystate/examples/outcome/postgres"
	"lazystate/tools/target"
	"lazystate/tools/testbed"
)

// Site says who of an auction is recoverable, and who will die.
type Site struct {
	Front, Middle bool // the processes of these tiers have boxes
	Victims       *Victims
}

// Bed is an auction that runs: front ends are S1 and S2, middle tiers the other two. A
// victim is in the place of the first one of its tier.
type Bed struct {
	*testbed.Bed
	DSN    string
	Fronts [2]netip.AddrPort // where clients go

	amounts atomic.Int64 // that were bid, or may have been
	crowds  []*Crowd
	told    []load.Event // what clients in other processes were told of updates
	db      *postgres.Cluster
	site    Site
	middle  string // the middle tiers, as front ends are told
	front   frontVictim
	rescuer *testbed.Process // waits for the end of the middle tier's victim
	rescue  func() error     // which that is
	live    []*testbed.Process
}

// frontVictim is the first front end, if that is to die.
type frontVictim struct {
	target *backdoor.Target // as its monitor has it
	pid    int              // of its process
}

// Sizes of the database.
const (
	categories = 20
	users      = 1000
	items      = 2000
)

const (
	patience     = 2 * time.Minute
	auction      = "lazystate/examples/auction"
	frontService = "auction-front"
	controlPort  = 5002
)

var databases atomic.Int64

// On has an auction run on a database of its own, and used; which is an error, too, if the
// database then is not what clients were told.
func On(ctx context.Context, db *postgres.Cluster, site Site, use func(b *Bed) error) error {
	dsn, err := db.Create(ctx, fmt.Sprintf("auction%d", databases.Add(1)))
	if err != nil {
		return err
	}
	cfg := testbed.Config{Service: frontService, Servers: 4, Clients: []testbed.Link{{}}, Salvage: site.Victims.salvage()}
	return testbed.Run(ctx, cfg, func(b *testbed.Bed) (err error) {
		s := &Bed{Bed: b, DSN: dsn, db: db, site: site, Fronts: [2]netip.AddrPort{shared(), b.S2.Addr}}
		var done []func() error
		defer func() {
			for _, f := range done {
				err = errors.Join(err, f())
			}
		}()
		if err := s.fill(ctx); err != nil {
			return err
		}
		if err := s.join(ctx); err != nil {
			return err
		}
		if err := s.start(ctx, &done); err != nil {
			return err
		}
		if err := use(s); err != nil {
			return err
		}
		return s.sound(ctx)
	})
}

// sound compares the database with what clients were told. Those who were told nothing
// are the bench's to judge: where connections are reset, there are some.
func (s *Bed) sound(ctx context.Context) error {
	events := slices.Clone(s.told)
	for _, c := range s.crowds {
		for _, of := range c.End() {
			events = append(events, of...)
		}
	}
	v, err := load.Check(ctx, s.DSN, events)
	if err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	if v.Errors = nil; !v.Sound() {
		return fmt.Errorf("the database is not what clients were told: %s", v)
	}
	return nil
}

func shared() netip.AddrPort { return netip.AddrPortFrom(testbed.Shared, testbed.Port) }

func sharedPrefix() string { return testbed.Shared.String() + "/24" }

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

func keeper(has bool, socket string) string {
	if has {
		return socket
	}
	return ""
}

// start starts the middle tiers, and then who asks them.
func (s *Bed) start(ctx context.Context, done *[]func() error) error {
	first, err := s.firstMiddle(ctx, done)
	if err != nil {
		return err
	}
	mt2 := s.Sites[3]
	if _, err := mt2.Serve(ctx, "auction", s.middleArgs("mt2", "KEEPER", "PORT", s.DSN)...); err != nil {
		return err
	}
	s.middle = fmt.Sprintf("mt1=%s,mt2=%s", first, mt2.Addr)
	if err := s.firstFront(ctx, done); err != nil {
		return err
	}
	p, err := s.S2.Serve(ctx, "auction", s.frontArgs("KEEPER", "PORT")...)
	if err != nil {
		return err
	}
	s.live = append(s.live, p)
	return s.poise(ctx, mt2)
}

func (s *Bed) middleArgs(name, socket, port, dsn string) []string {
	return []string{"middle", "--name", name, "--keeper", keeper(s.site.Middle, socket), "--listen", "0.0.0.0:" + port, "--database", dsn}
}

func (s *Bed) frontArgs(socket, port string) []string {
	return []string{"front", "--keeper", keeper(s.site.Front, socket), "--listen", "0.0.0.0:" + port, "--control", fmt.Sprint("0.0.0.0:", controlPort), "--middle", s.middle}
}

// firstMiddle has mt1 run, which reaches the database over the network if it is a
// machine: that of the clients has PostgreSQL's port.
func (s *Bed) firstMiddle(ctx context.Context, done *[]func() error) (at string, err error) {
	v := s.site.Victims.middle()
	if v == nil {
		mt1 := s.Sites[2]
		_, err := mt1.Serve(ctx, "auction", s.middleArgs("mt1", "KEEPER", "PORT", s.DSN)...)
		return mt1.Addr.String(), err
	}
	var l net.Listener
	c := s.Clients[0]
	if err := c.Try(func() (err error) { l, err = net.Listen("tcp", netip.AddrPortFrom(c.Addr, 0).String()); return err }); err != nil {
		return "", err
	}
	hangUp := s.db.Relay(l, nil)
	*done = append(*done, func() error { hangUp(); return nil })
	_, err = v.Launch(ctx, auction, s.middleArgs("mt1", testbed.VictimKeeper, fmt.Sprint(testbed.Port), s.db.Through(s.DSN, l.Addr()))...)
	at = fmt.Sprintf("%s:%d", middleAddr, testbed.Port)
	if err == nil {
		err = s.listens(ctx, at)
	}
	return at, err
}

// firstFront has fe1 run, at the address that another takes over, with its monitor.
func (s *Bed) firstFront(ctx context.Context, done *[]func() error) (err error) {
	v := s.site.Victims.front()
	if v == nil {
		p, err := s.S1.Serve(ctx, "auction", s.frontArgs("KEEPER", "PORT")...)
		s.live = append(s.live, p)
		return err
	}
	if s.front.pid, err = v.Launch(ctx, auction, s.frontArgs(testbed.VictimKeeper, fmt.Sprint(testbed.Port))...); err != nil {
		return err
	}
	if err := s.listens(ctx, shared().String()); err != nil {
		return err
	}
	mem, err := target.Open(ctx, "lab:"+v.Name(), target.Options{Writable: true, Key: key})
	if err != nil {
		return err
	}
	*done = append(*done, mem.Close)
	s.front.target, err = backdoor.Open(ctx, mem)
	return err
}

// listens waits until a server in a virtual machine does.
func (s *Bed) listens(ctx context.Context, at string) error {
	addr, err := netip.ParseAddrPort(at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return testbed.Await(ctx, "a server at "+at, func() bool {
		dialing, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		c, err := s.Clients[0].Dial(dialing, addr)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

// join has the victims on the bed's network.
func (s *Bed) join(ctx context.Context) error {
	v := s.site.Victims
	if v == nil {
		return nil
	}
	if v.front() != nil {
		s.S1.Unaddr(sharedPrefix()) // it is the machine's
	}
	return v.join(ctx, s.Wire().Try)
}

// poise has the middle tier's monitor get ready.
func (s *Bed) poise(ctx context.Context, mt2 *testbed.Site) (err error) {
	v := s.site.Victims.middle()
	if v == nil || !s.site.Middle {
		return nil
	}
	file := filepath.Join(s.Dir(), "key")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%x\n", key[:]), 0o600); err != nil {
		return err
	}
	args := []string{"rescue", "--wait", "--target", "lab:" + v.Name(), "--key-file", file, "--dead", "mt1", "--adopt", "mt2=" + mt2.Addr.String()}
	for _, addr := range s.controls() {
		args = append(args, "--front", addr)
	}
	if s.rescuer, s.rescue, err = s.Poised(mt2.Host, "auction", args...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := testbed.Await(ctx, "the middle tier's monitor", func() bool { return strings.Contains(s.rescuer.Log(), "rescue: ready") }); err != nil {
		return fmt.Errorf("%w: %s", err, s.rescuer.Said())
	}
	return nil
}

// controls are where front ends are told that a middle tier is dead: those that live.
func (s *Bed) controls() (all []string) {
	if s.site.Victims.front() == nil {
		all = append(all, netip.AddrPortFrom(s.S1.Addr.Addr(), controlPort).String())
	}
	return append(all, netip.AddrPortFrom(s.S2.Addr.Addr(), controlPort).String())
}
