// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"time"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// givenMove is a session that a client takes away: this server is S1.
type givenMove struct {
	source
	req      request
	session  cbox.ID
	flow     steer.Flow
	captured *Captured

	since            time.Time // of the state request
	begun            time.Time // of the capture
	prepared, frozen time.Duration
}

// asked is S2's state request.
func (m *Mover) asked(l link, f frame) {
	r, err := parseRequest(f.body)
	if err == nil && !m.sessions.allow(l.peer) {
		err = errTooOften
	}
	if err == nil {
		err = m.give(l, f.id, r)
	}
	if errors.Is(err, errBusy) { // another server had it, and may be about to say that it has not
		m.tasks.Go(func() { m.refuseGiving(l, f.id, m.giveLater(l, f.id, r)) })
		return
	}
	m.refuseGiving(l, f.id, err)
}

func (m *Mover) refuseGiving(l link, id ID, err error) {
	if err == nil {
		return
	}
	if errors.Is(err, errTooOften) {
		m.tooOften(l.peer)
	} else {
		m.log.Info("a session is not given away", "to", l.peer, "err", err)
	}
	m.say(l, id, party.Abort, err.Error())
}

// giveLater waits for the end of a session's present move.
func (m *Mover) giveLater(l link, id ID, r request) error {
	t := time.NewTicker(busyEvery)
	defer t.Stop()
	for late := time.After(m.cfg.Timing.Step / 2); ; {
		select {
		case <-t.C:
			if err := m.give(l, id, r); !errors.Is(err, errBusy) {
				return err
			}
		case <-late:
			return errBusy
		case <-m.ctx.Done():
			return m.ctx.Err()
		}
	}
}

const busyEvery = 20 * time.Millisecond

// errNoInterfaces: clients' segments pass by.
var errNoInterfaces = errors.New("this server has no interfaces towards clients in its configuration")

// errCertificate is one of no session here.
var errCertificate = errors.New("a certificate of no session here")

func (m *Mover) give(l link, id ID, r request) error {
	since := time.Now()
	if m.steer == nil {
		return errNoInterfaces
	}
	i, ok := m.certified(r.cert)
	if !ok {
		return errCertificate
	}
	if err := m.mayTake(r, i); err != nil {
		return err
	}
	session := i.ID
	g := &givenMove{source: source{m: m, id: id, link: l}, req: r, session: session, flow: flowOf(i), since: since}
	p := party.NewSource(party.ByClient, m.cfg.Timing)
	g.runner = newRunner(p, g.carry, func(why string) {
		m.log.Info("a client's move has ended", "session", session, "state", p.State(), "why", why, "prepared", g.prepared, "frozen", g.frozen)
		m.answered(session, p.State())
	})
	if err := m.begin(id, "session "+session.String(), g); err != nil {
		return err
	}
	g.tell(m.ctx, party.Event{Kind: party.Start})
	return nil
}

func (g *givenMove) carry(e party.Effect) error {
	switch e.Do {
	case party.Send:
		if e.Msg == party.State {
			g.prepared = time.Since(g.since)
			if err := g.m.journal.sign(g.id); err != nil {
				return err
			}
			last := frame{kindOf(party.State), g.id, []byte(e.Why)}
			return g.m.mesh.write(g.link, last, last.append(appendPart(nil, g.id, &g.captured.State)))
		}
		return g.post(e.Msg, []byte(e.Why))
	case party.Capture:
		return g.capture()
	case party.Undo:
		return g.undo()
	case party.Discard:
		return g.discard()
	}
	return fmt.Errorf("%s at S1", e)
}

func (g *givenMove) parting() *parting {
	return &parting{Peer: g.link.peer, Lead: party.ByClient, Sessions: []string{hexOf(g.session)},
		Flow: g.flow, To: g.req.server, Cert: g.req.cert, Attempt: attempt(g.req.client, g.req.server)}
}

// errElsewhere is a client that is not where its session's is.
var errElsewhere = errors.New("another client has its certificate, or is behind a translator of addresses")

// mayTake looks at who takes a session away.
func (m *Mover) mayTake(r request, i keeper.Info) error {
	switch {
	case !m.ours(i):
		return errOthers
	case m.cfg.SameClient && r.client.Addr() != i.Remote.Addr():
		return errElsewhere
	}
	return nil
}

// capture notes what is about to be given away while nothing waits for it; the note
// counts from when the state goes out.
func (g *givenMove) capture() error {
	err := g.m.journal.draft(g.id, g.parting())
	if err == nil {
		err = g.freeze()
	}
	if err != nil {
		return errors.Join(err, g.m.journal.parted(g.id))
	}
	return nil
}

// freeze checks the certificate once more, against numbers that cannot change.
func (g *givenMove) freeze() error {
	g.begun = time.Now()
	held, err := g.m.cfg.Keeper.Hold(g.session, g.m.cfg.Freeze)
	if err != nil {
		return err
	}
	g.captured, err = Capture(held, g.m.cfg.Stack, func(c mtcp.Connection, down mtcp.Down) (mtcp.Client, error) {
		if !g.m.certifies(g.session, g.flow, c, held.Box.Generation()).Equal(g.req.cert) {
			return mtcp.Client{}, errCertificate
		}
		return c.Client(g.req.next, down)
	})
	if err != nil {
		return err
	}
	if err := g.m.steer.Hold(g.flow, steer.Deaf, 0); err != nil {
		return errors.Join(err, g.captured.Undo())
	}
	return nil
}

func (g *givenMove) undo() error {
	g.m.Stats.undone.Add(1)
	err := errors.Join(g.m.steer.Release(g.flow), g.captured.Undo(), g.m.journal.parted(g.id))
	if err != nil {
		g.m.log.Error("undo a client's move", "session", g.session, "err", err)
	}
	return err
}

// lingering is how long a flow that has moved is answered by silence: for longer than a
// client waits until it comes back, with what its TCP repeats (party.Client).
const lingering = 2 * time.Minute

func (g *givenMove) discard() error {
	g.frozen = time.Since(g.begun)
	g.m.Stats.left.Add(1)
	err := errors.Join(g.captured.Discard(), g.m.departed(g.flow, g.req.cert, g.req.server), g.m.forget(g.session), g.m.journal.parted(g.id))
	if err != nil {
		g.m.log.Error("end of a client's move", "session", g.session, "err", err)
	}
	return err
}

// refuses is a client's MIGRATE_REFUSE, of an advice or of an attempt that is over. Their
// numbers may be the same: who takes the one for the other lets a session go on here that
// may live elsewhere.
func (m *Mover) refuses(f steer.Flow, o wire.MigrateRefuse) {
	if o.Reason == wire.ReasonStays {
		m.stays(f, o)
	} else {
		m.declined(f, o)
	}
}

func (m *Mover) declined(f steer.Flow, o wire.MigrateRefuse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.advices[f]; a != nil && o.N == a.n && o.Cert.Equal(a.cert) {
		a.end(&RefusedError{o.Reason})
	}
}

// stays is a client's word that an attempt is over.
func (m *Mover) stays(f steer.Flow, o wire.MigrateRefuse) {
	m.mu.Lock()
	var given move
	for _, v := range m.moves {
		switch c := v.(type) {
		case *givenMove:
			if c.flow == f && o.Cert.Equal(c.req.cert) && o.N == attempt(c.req.client, c.req.server) {
				given = c
			}
		case *resumedMove:
			if n := c.note; n.Flow == f && o.Cert.Equal(n.Cert) && o.N == n.Attempt {
				given = c
			}
		}
	}
	m.mu.Unlock()
	if given != nil {
		given.mention(party.Event{Kind: party.Stay, Why: o.Reason.String()})
	}
}

// certificate is that of a session of this server, as its SYN+ACK carries it (then
// its generation is 1) or MIGRATE_REPLY.
func (m *Mover) certificate(f steer.Flow, c mtcp.Connection, generation uint64) wire.Certificate {
	return m.key.Certify(wire.Subject{
		Client: f.Remote, Server: f.Local, ISS: c.Down.First - 1, IRS: c.Up.First - 1, Generation: uint32(generation),
	})
}

// certifies is the certificate that the client of a session has.
func (m *Mover) certifies(id cbox.ID, f steer.Flow, c mtcp.Connection, generation uint64) wire.Certificate {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cert, ok := m.certs.shown[id]; ok {
		return cert
	}
	return m.certificate(f, c, generation)
}

// certificateOf is that of one that was captured.
func (m *Mover) certificateOf(c *Captured) wire.Certificate {
	f := steer.Flow{Local: c.held.Conn.Local(), Remote: c.held.Conn.Remote()}
	return m.certifies(c.held.ID(), f, c.Conn, c.Generation)
}

// certified finds the session of a certificate: one that came here with it, or
// one that was accepted here. One of an earlier stay is nobody's, though its session may
// be here again: that would be frozen for as long as it takes to see (freeze).
func (m *Mover) certified(cert wire.Certificate) (keeper.Info, bool) {
	m.mu.Lock()
	id, came := m.certs.ids[cert]
	at, known := m.issued.ids[cert]
	m.mu.Unlock()
	if came {
		return m.cfg.Keeper.Session(id)
	}
	if i, ok := m.here(at); known && ok {
		return i, true
	}
	if at, known = m.issue()[cert]; !known {
		return keeper.Info{}, false
	}
	return m.here(at)
}

// here is a session that is at this server for that stay.
func (m *Mover) here(at stay) (keeper.Info, bool) {
	i, ok := m.cfg.Keeper.Session(at.id)
	return i, ok && i.Generation == at.generation
}

// issued are the certificates of sessions as they were when somebody came last with one
// that is not among them. Each has cost a question to the kernel: whoever guesses does
// not have them all asked again.
type issued struct {
	ids map[wire.Certificate]stay
	of  map[stay]wire.Certificate
}

// stay is a session's time at this server.
type stay struct {
	id         cbox.ID
	generation uint64
}

// issue looks at the sessions that are new, and forgets those that have ended.
func (m *Mover) issue() map[wire.Certificate]stay {
	m.mu.Lock()
	had := m.issued.of
	m.mu.Unlock()
	now := issued{map[wire.Certificate]stay{}, map[stay]wire.Certificate{}}
	for _, i := range m.cfg.Keeper.Sessions() {
		at := stay{i.ID, i.Generation}
		cert, ok := had[at]
		if !ok {
			f := flowOf(i)
			c, err := m.connection(i, f)
			if err != nil {
				continue
			}
			cert = m.certifies(i.ID, f, c, i.Generation)
		}
		now.ids[cert], now.of[at] = at, cert
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.issued = now
	return now.ids
}

// connection is a session's numbers: the box has those of one that came here;
// for one that was accepted here the kernel is asked.
func (m *Mover) connection(i keeper.Info, f steer.Flow) (mtcp.Connection, error) {
	if i.Numbers != nil {
		return *i.Numbers, nil
	}
	n, err := m.steer.Query(f)
	if err != nil {
		return mtcp.Connection{}, err
	}
	if i.Generation > 1 {
		return mtcp.Connection{}, fmt.Errorf("session %s came here, and its box has no numbers", i.ID)
	}
	return mtcp.Connection{
		Up:   mtcp.Stream{First: n.RcvNxt - seqnum.Value(n.Received)},
		Down: mtcp.Stream{First: n.SndUna - seqnum.Value(n.Acked)},
	}, nil
}
