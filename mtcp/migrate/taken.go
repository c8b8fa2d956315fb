// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// takenMove is a session that a client brings: this server is S2.
type takenMove struct {
	*runner
	inbox
	id   ID
	link link
	flow steer.Flow // Local is this server's end
	syn  wire.Segment
	req  wire.MigrateRequest

	coming  *Coming
	written *states // of coming, for escrow; nil: not yet, or no more

	since   time.Time     // of the state request
	fetched time.Duration // from there to the state reply

	mu    sync.Mutex // of what others look at: when the client's ACK comes, or S1's word
	reply *wire.MigrateReply
	delta uint64      // of the ACK
	fault wire.Reason // that a refusal gives; 0: S1 has not answered
}

// requested is a client's SYN.
func (m *Mover) requested(e steer.Event, req wire.MigrateRequest) {
	m.mu.Lock()
	t, late := m.taken[e.Flow], time.Since(m.refused[e.Flow]) < lingering
	m.mu.Unlock()
	switch {
	case t != nil:
		t.mention(party.Event{Kind: party.Request})
		return
	case late && m.lives(e.Flow): // a double of the SYN that brought it
		return
	case late:
		m.refuse(e.Flow, e.Segment, req.Cert, wire.ReasonState)
		return
	}
	reason, err := m.take(e, req)
	switch {
	case err == nil:
		return
	case errors.Is(err, errTooOften):
		m.tooOften(e.Flow.Remote.Addr().String())
	default:
		m.log.Info("a client is refused", "client", e.Flow.Remote, "err", err)
	}
	m.refuse(e.Flow, e.Segment, req.Cert, reason)
}

func (m *Mover) take(e steer.Event, req wire.MigrateRequest) (wire.Reason, error) {
	if _, ok := m.service(e.Flow.Local, ""); !ok {
		return wire.ReasonUnknown, fmt.Errorf("%s is no service of this server", e.Flow.Local)
	}
	peer, ok := m.serverOf(req.Server)
	if !ok {
		return wire.ReasonUnknown, fmt.Errorf("no server of number %#x is known", req.Server)
	}
	l := link{peer, true}
	if !m.mesh.linked(l) { // nothing is said and nothing kept: the client asks again, and the connection comes back
		m.log.Debug("a client is not answered yet", "client", e.Flow.Remote, "err", fmt.Errorf("%s: %w", l, errNotLinked))
		return 0, nil
	}
	if !m.clients.allow(e.Flow.Remote.Addr().String()) {
		return wire.ReasonResources, errTooOften
	}
	if m.lives(e.Flow) { // somebody has guessed the ends of a connection, which is not put on hold for that
		return 0, nil
	}
	t := &takenMove{inbox: inbox{m: m}, id: newID(), link: l, flow: e.Flow, syn: e.Segment, req: req}
	t.runner = newRunner(party.NewTarget(party.ByClient, m.cfg.Timing), t.carry, t.ended)
	if err := m.begin(t.id, "flow "+e.Flow.String(), t); err != nil {
		return wire.ReasonBusy, err
	}
	m.mu.Lock()
	m.taken[e.Flow] = t
	m.mu.Unlock()
	t.tell(m.ctx, party.Event{Kind: party.Request})
	return 0, nil
}

func (t *takenMove) on() link { return t.link }

// left: what is late is refused for a while.
func (t *takenMove) left() {
	t.inbox.left()
	delete(t.m.taken, t.flow)
	if len(t.m.refused) > mostRefused {
		clear(t.m.refused)
	}
	t.m.refused[t.flow] = time.Now()
}

const mostRefused = 4096

func (t *takenMove) heard(f frame) {
	e := t.open(f)
	if e.Kind == party.Abort {
		t.blame(wire.ReasonState)
	}
	t.tell(t.m.ctx, e)
}

// blame says what a refusal of the client will; the first fault counts.
func (t *takenMove) blame(why wire.Reason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = cmp.Or(t.fault, why)
}

// faultOf is what a client is told of an error here.
func faultOf(err error) wire.Reason {
	var (
		limit *keeper.LimitError
		box   *cbox.SizeError
		queue *tcprepair.SizeError
	)
	if errors.As(err, &limit) || errors.As(err, &box) || errors.As(err, &queue) {
		return wire.ReasonResources
	}
	return wire.ReasonState
}

// acked is the client's ACK.
func (m *Mover) acked(e steer.Event, o wire.RcvdWhileMigrating) {
	m.mu.Lock()
	t := m.taken[e.Flow]
	m.mu.Unlock()
	if t == nil { // an earlier daemon's, or one that has ended
		switch {
		case !m.clients.allow(e.Flow.Remote.Addr().String()):
		case m.lives(e.Flow): // it has not heard so, and holds back what it has to say
			m.sayArrived(&wire.Segment{Src: e.Flow.Local, Dst: e.Flow.Remote, Seq: e.Segment.Ack + seqnum.Value(o.Delta), Ack: e.Segment.Seq, Flags: wire.ACK, Window: 65535})
		default:
			m.refuse(e.Flow, e.Segment, wire.Certificate{}, wire.ReasonState)
		}
		return
	}
	if t.acknowledged(e.Segment, o) {
		t.mention(party.Event{Kind: party.Ack})
	}
}

// acknowledged notes what a client says it has. Its word lets the session live here,
// so it has to answer our SYN+ACK, whose number nobody knows who does not see it.
func (t *takenMove) acknowledged(s wire.Segment, o wire.RcvdWhileMigrating) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reply == nil || s.Flags&(wire.SYN|wire.ACK|wire.RST) != wire.ACK || s.Seq != t.syn.Seq+1 || s.Ack != t.reply.LSRC {
		return false
	}
	t.delta = uint64(o.Delta)
	return true
}

// lives reports whether a flow has a socket here.
func (m *Mover) lives(f steer.Flow) bool {
	_, err := m.steer.Query(f)
	return err == nil
}

func (t *takenMove) carry(e party.Effect) error {
	m := t.m
	switch e.Do {
	case party.Send:
		return t.send(e)
	case party.Hold:
		return m.steer.Hold(t.flow, steer.Early, holdBound)
	case party.Restore:
		return t.blamed(t.restore())
	case party.Live:
		return t.blamed(t.live())
	case party.Drop:
		err := m.steer.Release(t.flow)
		t.written.close()
		t.written = nil
		if t.coming != nil {
			err = errors.Join(err, t.coming.Drop())
		}
		return err
	}
	return fmt.Errorf("%s at S2", e)
}

// blamed is an error, of which the client is told.
func (t *takenMove) blamed(err error) error {
	if err != nil {
		t.blame(faultOf(err))
	}
	return err
}

// holdBound ends a hold that nobody ends.
const holdBound = 2 * time.Minute

func (t *takenMove) send(e party.Effect) error {
	m := t.m
	switch e.Msg {
	case party.Ask:
		t.since = time.Now()
		err := m.mesh.send(t.link, frame{kindOf(party.Ask), t.id, request{t.req.Cert, t.req.Next, t.flow.Remote, t.flow.Local}.append(nil)})
		if err != nil { // the end of the connection may have been told before there was this move
			m.tasks.Go(func() { t.tell(m.ctx, party.Event{Kind: party.Lost}) })
		}
		return err
	case party.Reply:
		seg := t.segment(wire.SYN | wire.ACK)
		seg.Seq = t.reply.LSRC - 1
		var err error
		if seg.Options, err = wire.AppendSYN(nil, *t.reply, shownMSS); err != nil {
			return err
		}
		err = m.sender.Send(seg)
		t.write() // while the client answers
		return err
	case party.Refuse:
		t.mu.Lock()
		why := cmp.Or(t.fault, wire.ReasonSource)
		t.mu.Unlock()
		m.refuse(t.flow, t.syn, t.req.Cert, why)
		return nil
	}
	return m.mesh.send(t.link, frame{kindOf(e.Msg), t.id, []byte(e.Why)})
}

// shownMSS is for firewalls only.
const shownMSS = 1400

func (t *takenMove) segment(f wire.Flags) wire.Segment {
	return wire.Segment{Src: t.flow.Local, Dst: t.flow.Remote, Ack: t.syn.Seq + 1, Flags: f, Window: 65535}
}

// refuse answers a client by a RST that says why.
func (m *Mover) refuse(f steer.Flow, to wire.Segment, cert wire.Certificate, why wire.Reason) {
	seg := wire.Segment{Src: f.Local, Dst: f.Remote, Seq: to.Ack, Ack: to.Seq + 1, Flags: wire.RST | wire.ACK}
	var err error
	if seg.Options, err = wire.Append(nil, wire.MigrateRefuse{Reason: why, Cert: cert}); err == nil {
		err = m.sender.Send(seg)
	}
	if err != nil {
		m.log.Debug("refuse a client", "client", f.Remote, "err", err)
	}
}

func (t *takenMove) restore() error {
	m := t.m
	t.fetched = time.Since(t.since)
	if len(t.states) != 1 {
		return &MalformedError{"state reply", fmt.Sprintf("%d sessions", len(t.states))}
	}
	s := t.states[0]
	v, ok := m.service(t.flow.Local, s.Name)
	if !ok {
		return fmt.Errorf("%q at %s is no service of this server", s.Name, t.flow.Local)
	}
	c, err := Prepare(s, m.cfg.Limits, t.flow.Local, t.flow.Remote)
	if err != nil {
		return err
	}
	t.coming = c
	if err := c.Reserve(m.cfg.Keeper, v.UID); err != nil {
		return err
	}
	r := c.Reply()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reply = &wire.MigrateReply{LSRC: r.LSRC, ImplicitAck: r.ImplicitAck, Cert: m.certificate(t.flow, c.Conn, c.generation())}
	return nil
}

// write has the state lie where escrow can have it from. Where that fails, entrust tries
// again.
func (t *takenMove) write() {
	if t.written != nil || t.m.cfg.Escrow == nil {
		return
	}
	var err error
	if t.written, err = writeStates([]*Coming{t.coming}); err != nil {
		t.m.log.Debug("write the state of a session that comes", "err", err)
	}
}

// live: the client has left S1 and told what it has.
func (t *takenMove) live() error {
	m, c := t.m, t.coming
	t.mu.Lock()
	delta := t.delta
	t.mu.Unlock()
	if err := c.Fixup(delta); err != nil {
		return err
	}
	if err := c.Restore(m.cfg.Stack, true); err != nil {
		return err
	}
	v, _ := m.service(t.flow.Local, c.Name)
	m.entrust([]*Coming{c}, t.written, func(*Coming) entrusted {
		return entrusted{Move: t.id[:], UID: v.UID, Client: true, Delta: delta, Cert: t.reply.Cert}
	})
	t.written = nil
	if err := m.journal.note(t.id); err != nil {
		return err
	}
	m.point("noted")
	if err := m.remember(certChange{c.ID(), t.reply.Cert}); err != nil { // it lives all the same, and S1 must not
		m.log.Warn("the certificate of a session that came", "session", c.ID(), "err", err)
	}
	arrived := t.segment(wire.ACK)
	arrived.Seq = t.reply.LSRC + seqnum.Value(delta)
	err := m.steer.Release(t.flow) // the socket is there, and as deaf as the hold
	if err == nil {
		m.sayArrived(&arrived) // whoever hears that speaks at once, and sends again by a timer only
		err = c.Live(m.point)
	}
	if err != nil {
		return errors.Join(err, m.journal.strike(t.id))
	}
	m.Stats.came.Add(1)
	probe := c.Restored.Probe()
	m.tasks.Go(func() { m.repeat(t.flow, arrived, probe) })
	return nil
}

// announce says MIGRATE_ARRIVED of a session that came by a gateway.
func (m *Mover) announce(c *Coming) {
	seg := wire.Segment{Src: c.Dump.Local, Dst: c.Dump.Remote, Seq: c.Dump.Una, Ack: c.Dump.RcvNxt, Flags: wire.ACK, Window: 65535}
	m.sayArrived(&seg)
	m.repeat(steer.Flow{Local: c.Dump.Local, Remote: c.Dump.Remote}, seg, c.Restored.Probe())
}

// sayArrived says it once. Nothing depends on that: it is said again.
func (m *Mover) sayArrived(seg *wire.Segment) {
	var err error
	if seg.Options, err = wire.Append(nil, wire.MigrateArrived{}); err == nil {
		err = m.sender.Send(*seg)
	}
	if err != nil {
		m.log.Debug("announce", "err", err)
	}
}

// arrivals is how often MIGRATE_ARRIVED is said unasked; S2's own segments say it as well,
// and a client that has not heard asks (acked).
const arrivals = 5

// repeat says it again, and as long as nothing has come from the client what its socket
// has said first: a client's TCP does not see MIGRATE_ARRIVED, and if that is all that its
// host hears, what it was not let send waits for its own timer.
func (m *Mover) repeat(f steer.Flow, arrived, probe wire.Segment) {
	before, _ := m.steer.Query(f) // nothing is known: it may have been heard
	for range arrivals - 1 {
		select {
		case <-time.After(m.cfg.Timing.Retry):
		case <-m.ctx.Done():
			return
		}
		err := m.sender.Send(arrived)
		if now, gone := m.steer.Query(f); gone == nil && now.RcvNxt == before.RcvNxt && now.SndUna == before.SndUna {
			err = errors.Join(err, m.sender.Send(probe))
		}
		if err != nil {
			m.log.Debug("repeat", "err", err)
		}
	}
}

func (t *takenMove) ended(why string) {
	t.m.log.Info("a client's session", "client", t.flow.Remote, "from", t.link.peer, "why", why, "fetched", t.fetched)
}

// flowOf parses a flow as the keeper shows it.
func flowOf(i keeper.Info) steer.Flow { return steer.Flow{Local: i.Local, Remote: i.Remote} }
