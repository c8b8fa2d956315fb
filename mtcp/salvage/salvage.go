// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/steer"
)

// Errors of single sessions, beside those of extract and cbox.
var (
	ErrElsewhere = errors.New("its address is not taken over")
	ErrMoved     = errors.New("it was on its way to another server, or is there")
	ErrNotBound  = errors.New("its box has no socket")
	ErrTooLarge  = errors.New("its box and those of others are larger than allowed")
)

// Run salvages all sessions of the configured addresses. Its error is that of
// something that all of them need; then nothing lives here and the addresses are
// given back, but the target stays fenced.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	return newRun(ctx, cfg).done((*run).all)
}

// Look reads what Run would, and says which sessions could go on, or why not. It
// changes nothing and fences nothing: of a machine that runs, what it reads may be
// of two moments. Of the configuration it needs Target and Services.
func Look(ctx context.Context, cfg Config) (*Report, error) {
	return newRun(ctx, cfg).done((*run).look)
}

func newRun(ctx context.Context, cfg Config) *run {
	cfg.defaults()
	return &run{Config: cfg, ctx: ctx, began: time.Now(), before: cfg.Target.Stats(), report: &Report{}}
}

func (r *run) done(f func(*run) error) (*Report, error) {
	err := f(r)
	used := r.Target.Stats().Sub(r.before)
	r.report.Reads, r.report.Batches, r.report.Bytes = used.Reads, used.Batches, used.Bytes
	if err != nil {
		return r.report, fmt.Errorf("salvage: %w", err)
	}
	return r.report, nil
}

// run is one of them.
type run struct {
	Config
	ctx      context.Context
	began    time.Time
	report   *Report
	sessions []*session
	hoped    []*session // that are read
	undo     []func() error
	stays    []netip.Addr // that were here already
	before   backdoor.Stats
	portOnly bool // the fence's CPUs may not have stopped

	spares bool          // the fence leaves a CPU running, and whether a process has run there is not known yet
	since  time.Duration // no process runs there; on the target's clock
}

func (r *run) step(name string) {
	at := time.Since(r.began)
	r.report.Steps = append(r.report.Steps, Step{name, at})
	r.Log.Info("salvage", "step", name, "after", at)
	r.Point(name)
}

func (r *run) all() error {
	if err := r.fence(); err != nil {
		return err
	}
	r.step("fenced")
	r.before = r.Target.Stats() // while CPUs do not answer the fence, that is looked for again and again
	if err := r.directory(); err != nil {
		return err
	}
	r.step("directory read")
	r.hold()
	r.step("flows held")
	if err := r.fetch(); err != nil {
		return errors.Join(err, r.back())
	}
	first, again, err := r.goOn()
	for tries := 1; errors.Is(err, errWoke) && tries < readings; tries++ {
		r.Log.Warn("salvage: CPUs of the target have run since it was fenced; reading again")
		if err = r.read(); err == nil {
			r.step("state read again")
			first, again, err = r.goOn()
		}
	}
	if err != nil {
		return errors.Join(err, r.back())
	}
	r.step("sessions live")
	if r.NotAsking {
		if err := r.announce(); err != nil {
			r.Log.Error("salvage: sessions live at addresses that nobody is told of", "err", err)
		}
		r.step("addresses announced")
	}
	for _, s := range r.sessions {
		r.lose(s) // before those are waited for that are tried again
	}
	r.again(again, first)
	for _, s := range r.sessions {
		r.name(s)
	}
	r.step("done")
	go r.acquit(context.WithoutCancel(r.ctx), r.sessions) // it ends by itself
	return nil
}

// goOn has those go on that are not tried again, and returns these and the others. After
// an error nothing lives.
func (r *run) goOn() (first []*session, again [][]*session, err error) {
	r.judge()
	first, again = r.order()
	if err = r.begin(first); err == nil {
		err = r.believe() // if there was none
	}
	return first, again, err
}

// fetch takes over the addresses and reads the state. Only clients that know where
// to answer can be asked; where they are not, output need not wait for that.
func (r *run) fetch() error {
	type step struct {
		name string
		do   func() error
	}
	take, announce, read := step{"addresses taken", r.take}, step{"addresses announced", r.announce}, step{"state read", r.read}
	steps := []step{take, announce, read}
	if r.NotAsking {
		steps = []step{read, take}
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return err
		}
		r.step(s.name)
	}
	return nil
}

func (r *run) look() error {
	if err := r.directory(); err != nil {
		return err
	}
	r.step("directory read")
	if err := r.extract(r.live()); err != nil {
		return err
	}
	r.step("state read")
	r.judge()
	for _, s := range r.sessions {
		r.report.Sessions = append(r.report.Sessions, s.Outcome)
	}
	return r.Target.Check(r.ctx)
}

// directory finds the sessions.
func (r *run) directory() error {
	var boxes []backdoor.Box
	err := r.heard(func() (err error) { boxes, err = r.Target.Boxes(r.ctx); return err })
	if err != nil {
		return err
	}
	here, err := r.here(boxes)
	if err != nil {
		return err
	}
	memory := purse{r.Box, r.Boxes}
	for i := range boxes {
		b := &boxes[i]
		s := &session{box: b, flow: steer.Flow{Local: b.Local, Remote: b.Remote}}
		s.Entry, s.Local, s.Remote, s.Here = b.Entry, b.Local, b.Remote, here[s.flow]
		switch {
		case b.Err != nil:
			s.Err = b.Err
		case b.State != uapi.BoxBound:
			s.Err = ErrNotBound
		case !r.serves(b.Local.Addr()):
			s.Err = ErrElsewhere
		case !s.Here:
			s.Err = memory.spend(b)
		}
		r.sessions = append(r.sessions, s)
	}
	return nil
}

// purse is what may be read of one box, and of all that are still to be read: how large
// they are a stranger's memory says.
type purse struct{ one, left uint64 }

func (p *purse) spend(b *backdoor.Box) error {
	switch {
	case b.Len() > p.one:
		return &backdoor.CorruptError{What: "box", Why: fmt.Sprintf("%d bytes, %d allowed", b.Len(), p.one)}
	case b.Len() > p.left:
		return ErrTooLarge
	}
	p.left -= b.Len()
	return nil
}

// here are the connections that live here. Of those that another daemon was salvaging
// which has died the keeper may not know yet; the kernel does.
func (r *run) here(boxes []backdoor.Box) (map[steer.Flow]bool, error) {
	here := map[steer.Flow]bool{}
	if r.Keeper == nil { // to look
		return here, nil
	}
	for _, k := range r.Keeper.Sessions() {
		here[steer.Flow{Local: k.Local, Remote: k.Remote}] = true
	}
	taken := map[netip.Addr]bool{}
	for _, p := range r.Services {
		has, err := r.Place.Has(p.Addr())
		if err != nil {
			return nil, err
		}
		taken[p.Addr()] = has
	}
	for i := range boxes {
		f := steer.Flow{Local: boxes[i].Local, Remote: boxes[i].Remote}
		if !taken[f.Local.Addr()] || here[f] || boxes[i].Err != nil {
			continue
		}
		_, err := r.Gate.Query(f)
		if err != nil && !errors.Is(err, steer.ErrNoSocket) {
			return nil, err
		}
		here[f] = err == nil
	}
	return here, nil
}

// live are the sessions that there is something to be done for, and hope.
func (r *run) live() (out []*session) {
	for _, s := range r.sessions {
		if s.Err == nil && !s.Here {
			out = append(out, s)
		}
	}
	return out
}

// Nothing of a client comes in. HoldLimit ends the holds of one that was killed and that
// nobody comes after, where its programs outlive it (pinned, or with clsact): our kernel
// answers then.
const (
	holdIn    = steer.DropIn
	HoldLimit = 5 * time.Minute
)

// hold comes before the address: from then on the clients' segments come here.
func (r *run) hold() {
	for _, s := range r.live() {
		if err := r.Gate.Hold(s.flow, holdIn, HoldLimit); err != nil {
			s.Err = err
			continue
		}
		s.held = true
	}
}

func (r *run) take() error {
	for _, p := range r.Services {
		undo, err := r.Place.Take(p)
		if err != nil {
			return err
		}
		if undo == nil {
			r.stays = append(r.stays, p.Addr())
			continue
		}
		r.undo = append(r.undo, undo)
	}
	return nil
}

func (r *run) announce() (err error) {
	for _, p := range r.Services {
		err = errors.Join(err, r.Place.Announce(p))
	}
	return err
}

// back gives everything back that was taken. Where an address stays, so do the
// holds: without them our kernel would end what another try can still save.
func (r *run) back() error {
	var err error
	for _, undo := range r.undo {
		err = errors.Join(err, undo())
	}
	for _, s := range r.sessions {
		if !slices.Contains(r.stays, s.Local.Addr()) {
			err = errors.Join(err, r.release(s))
		}
	}
	return err
}

// extract reads the sockets of these sessions and the boxes of those that can go on.
func (r *run) extract(all []*session) error {
	x, err := extract.New(r.Target, r.Limits)
	if err != nil {
		return err
	}
	socks := make([]uint64, len(all))
	for i, s := range all {
		socks[i] = s.box.Sock
	}
	found, err := x.Extract(r.ctx, socks)
	if err != nil {
		return err
	}
	for i, s := range all {
		s.found, s.Held, s.Err, s.Notes = &found[i], found[i].Held, found[i].Err, found[i].Notes
		s.Start = found[i].Path.Start()
	}
	g := &gather{ctx: r.ctx, read: r.Target.ReadEach}
	all = slices.DeleteFunc(slices.Clone(all), func(s *session) bool { return s.Err != nil })
	g.each(len(all), func(i int, read func([]backdoor.VARead) error) {
		all[i].Err = all[i].open(read, r.Policy)
	})
	return g.failed
}

// note: a session is not lost because nobody would know what this process died of.
func (r *run) note(s *session, what func(landing.Ledger, cbox.ID) error) {
	if r.Ledger == nil {
		return
	}
	if err := what(r.Ledger, s.ID); err != nil {
		r.Log.Warn("salvage: the ledger", "session", s.ID, "err", err)
	}
}

func (r *run) release(s *session) error {
	if !s.held {
		return nil
	}
	err := r.Gate.Release(s.flow)
	s.held = err != nil
	return err
}
