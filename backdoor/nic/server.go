// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/guard"
	"lazystate/verbs"
)

// Options of a Server.
type Options struct {
	Memory backdoor.Memory // the target's, for this server alone; it stays the caller's to close
	Policy guard.Policy
	Fronts []Front // where monitors come from; the devices stay the caller's to close

	Grants int           // at once; 8 if 0 (DECISION 16)
	QPs    int           // of one grant; 32 if 0
	Idle   time.Duration // a grant unused for so long makes room for another; a minute if 0
	Log    *slog.Logger  // nil: none
}

func (o Options) withDefaults() Options {
	if o.Grants == 0 {
		o.Grants = 8
	}
	if o.QPs == 0 {
		o.QPs = 32
	}
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// tick is how often the guard's log is written and its windows are closed.
const tick = 100 * time.Millisecond

// Front is a device and the address that monitors connect to.
type Front struct {
	Device *verbs.Device
	Listen netip.AddrPort
}

// front is one that is listened at.
type front struct {
	dev      *verbs.Device
	cq       *verbs.CQ
	listener *verbs.Listener
}

// Server answers for one target.
type Server struct {
	opts   Options
	log    *slog.Logger
	began  time.Time
	target target
	ops    ops
	stats  counters
	fronts []*front
	stale  chan stale // banks whose keys are to be renewed
	wg     sync.WaitGroup

	mu    sync.Mutex
	guard *guard.Guard

	admission sync.Mutex // one at a time makes grants

	grantsMu sync.Mutex // never held while the device is called: it calls back
	grants   map[uint32]*grant
	lastID   uint32
}

// stale is a bank of a grant whose keys open nothing any more.
type stale struct {
	g      *grant
	number int
	bank   *bank
}

// New seals the policy and begins to listen; Run answers.
func New(o Options) (*Server, error) {
	o = o.withDefaults()
	s := &Server{opts: o, log: o.Log, began: time.Now(), grants: map[uint32]*grant{}, stale: make(chan stale, 4*o.Grants)}
	s.target = target{mem: o.Memory, changed: s.changed}
	if o.Policy.Floor == 0 {
		o.Policy.Floor = uint64(s.began.UnixNano())
	}
	var err error
	if s.guard, err = guard.New(o.Policy); err != nil {
		return nil, fmt.Errorf("guard policy: %w", err)
	}
	for _, f := range o.Fronts {
		f, err := listen(f)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.fronts = append(s.fronts, f)
	}
	return s, nil
}

func listen(f Front) (*front, error) {
	cq, err := f.Device.CreateCQ(16, nil)
	if err != nil {
		return nil, err
	}
	l, err := f.Device.Listen(f.Listen)
	if err != nil {
		return nil, errors.Join(err, cq.Close())
	}
	return &front{f.Device, cq, l}, nil
}

// Addr returns the address that a front listens at.
func (s *Server) Addr(front int) netip.AddrPort { return s.fronts[front].listener.Addr() }

func (s *Server) now() time.Duration { return time.Since(s.began) }

// judge asks the guard.
func (s *Server) judge(r *guard.Request) guard.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard.Access(s.now(), r)
}

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	_, err := s.target.look(ctx)
	if err != nil {
		s.log.Warn("target has no regions yet", "err", err)
	}
	s.wg.Go(func() { s.keep(ctx) })
	var fronts sync.WaitGroup
	for _, f := range s.fronts {
		fronts.Go(func() { s.listen(ctx, f) })
	}
	fronts.Wait()
	for _, g := range s.all() {
		g.revoke()
	}
	s.wg.Wait()
	return nil
}

// listen answers requests at one front until ctx ends or its device is gone.
func (s *Server) listen(ctx context.Context, f *front) {
	for {
		req, err := f.listener.Accept(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = req.Close()
			}
			return
		case errors.Is(err, verbs.ErrClosed):
			s.log.Error("a front is gone", "addr", f.listener.Addr().String(), "err", err)
			return
		case err != nil:
			s.log.Warn("accept", "err", err)
		default:
			s.wg.Go(func() { s.answer(ctx, f, req) })
		}
	}
}

// Close stops listening; Run has returned.
func (s *Server) Close() error {
	var errs []error
	for _, f := range s.fronts {
		errs = append(errs, f.listener.Close(), f.cq.Close())
	}
	return errors.Join(errs...)
}

// keep does what no monitor waits for: keys, the log, the target's state.
func (s *Server) keep(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			s.tell()
			return
		case old := <-s.stale:
			if err := old.g.renew(old.number, old.bank); err != nil {
				s.log.Error("renew keys", "grant", old.g.id, "err", err)
			}
			if v, err := s.target.look(ctx); err == nil {
				old.g.follow(v) // it may have waited for them
			}
		case <-t.C:
			_, _ = s.target.look(ctx)
			s.tell()
		}
	}
}

// renew asks for new keys in a bank's place; keep does it.
func (s *Server) renew(old stale) {
	select {
	case s.stale <- old:
	default: // cannot be: a grant has two banks, and is not without both for long
		s.log.Error("too many keys to renew", "grant", old.g.id)
	}
}

// tell writes the guard's log.
func (s *Server) tell() {
	s.mu.Lock()
	s.guard.Tick(s.now())
	events, lost := s.guard.Events()
	s.mu.Unlock()
	for i := range events {
		e := &events[i]
		s.stats.event(e.Kind)
		s.log.Log(context.Background(), level(e.Kind), "guard", "event", e.Kind.String(), "monitor", e.Monitor, "what", e.String())
	}
	if lost > 0 {
		s.log.Warn("guard", "event", "lost", "count", lost)
	}
}

func level(k guard.EventKind) slog.Level {
	switch k {
	case guard.Denied, guard.Refused, guard.Disagreed:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// changed is told the target's new state, also from inside a remote read.
func (s *Server) changed(v *view) {
	boot := [16]byte{}
	if v != nil {
		boot = v.root.BootID
	}
	s.mu.Lock()
	s.guard.Boot(boot)
	s.mu.Unlock()
	for _, g := range s.all() {
		g.follow(v)
	}
	if v == nil {
		s.log.Info("target offers no regions")
		return
	}
	s.log.Info("target", "boot", backdoor.BootID(boot).String(), "generation", v.root.Generation, "regions", len(v.regions))
}

func (s *Server) all() []*grant {
	s.grantsMu.Lock()
	defer s.grantsMu.Unlock()
	list := make([]*grant, 0, len(s.grants))
	for _, g := range s.grants {
		list = append(list, g)
	}
	return list
}

func (s *Server) drop(g *grant) {
	s.grantsMu.Lock()
	defer s.grantsMu.Unlock()
	delete(s.grants, g.id)
}
