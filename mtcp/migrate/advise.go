// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// advice is a MIGRATE_ADVISE that is out.
type advice struct {
	n       uint8
	session cbox.ID
	cert    wire.Certificate
	done    chan error // the outcome, once
}

// end has room for the first outcome; others come too late.
func (a *advice) end(err error) {
	select {
	case a.done <- err:
	default:
	}
}

// RefusedError is a client that does not follow an advice.
type RefusedError struct{ Reason wire.Reason }

func (e *RefusedError) Error() string { return "the client does not move: " + e.Reason.String() }

// ErrNoAgent is a client that does not answer: it has no agent, or its path
// removes the option.
var ErrNoAgent = errors.New("the client does not answer")

// Advise asks the client of a session to go on with another server, repeats
// that, and waits for the outcome: nil is a session that has left.
func (m *Mover) Advise(ctx context.Context, id cbox.ID, to string, why wire.Reason) error {
	if m.steer == nil {
		return errNoInterfaces
	}
	f, cert, err := m.holder(id)
	if err != nil {
		return err
	}
	target, err := m.placeAt(to, f.Local)
	if err != nil {
		return err
	}
	a := &advice{session: id, cert: cert, done: make(chan error, 1)}
	m.mu.Lock()
	if m.advices[f] != nil {
		m.mu.Unlock()
		return fmt.Errorf("advise session %s: %w", id, errBusy)
	}
	m.adviceN = max(m.adviceN+1, 1) // 0 is a RST's
	a.n, m.advices[f] = m.adviceN, a
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.advices, f)
	}()
	return m.advise(ctx, a, f, wire.MigrateAdvise{N: a.n, Reason: why, Cert: cert, Target: target})
}

func (m *Mover) advise(ctx context.Context, a *advice, f steer.Flow, o wire.MigrateAdvise) error {
	t := time.NewTicker(m.cfg.Timing.Retry)
	defer t.Stop()
	for tries := 0; ; {
		if !m.moving(a.session) {
			if tries++; tries > m.cfg.Timing.Tries {
				return ErrNoAgent
			}
			if err := m.sayAdvice(f, o); err != nil {
				m.log.Debug("advise", "flow", f, "err", err)
			}
		}
		select {
		case err := <-a.done:
			return err
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-m.ctx.Done():
			return m.ctx.Err()
		}
	}
}

// sayAdvice sends it as a keep-alive is sent: a client without an agent answers
// with where it is, and nothing has happened.
func (m *Mover) sayAdvice(f steer.Flow, o wire.MigrateAdvise) error {
	n, err := m.steer.Query(f)
	if err != nil {
		return err
	}
	seg := wire.Segment{Src: f.Local, Dst: f.Remote, Seq: n.SndNxt - 1, Ack: n.RcvNxt, Flags: wire.ACK, Window: 65535}
	if seg.Options, err = wire.Append(nil, o); err != nil {
		return err
	}
	return m.sender.Send(seg)
}

// moving reports a session that is on its way.
func (m *Mover) moving(id cbox.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, is := m.keys["session "+id.String()]
	return is
}

// answered is the end of a client's move, which an advice may have wanted. One
// that came to nothing the client will explain.
func (m *Mover) answered(id cbox.ID, s party.SourceState) {
	if s != party.Left {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.advices {
		if a.session == id {
			a.end(nil)
		}
	}
}

// holder is a session's flow and the certificate that its client has.
func (m *Mover) holder(id cbox.ID) (steer.Flow, wire.Certificate, error) {
	i, ok := m.cfg.Keeper.Session(id)
	switch {
	case !ok:
		return steer.Flow{}, wire.Certificate{}, fmt.Errorf("session %s is not here", id)
	case !m.ours(i):
		return steer.Flow{}, wire.Certificate{}, fmt.Errorf("session %s: %w", id, errOthers)
	}
	f := flowOf(i)
	c, err := m.connection(i, f)
	return f, m.certifies(id, f, c, i.Generation), err
}

// placeAt is where at another server a session may go that is at local here: the
// same port, if it is served there.
func (m *Mover) placeAt(peer string, local netip.AddrPort) (netip.AddrPort, error) {
	var best netip.AddrPort
	for _, p := range m.cfg.Peers {
		for _, a := range p.Serves {
			if p.Name == peer && a.Addr().Is4() == local.Addr().Is4() && (!best.IsValid() || best.Port() != local.Port() && a.Port() == local.Port()) {
				best = a
			}
		}
	}
	if !best.IsValid() {
		return best, fmt.Errorf("%q serves at no address that clients of %s can go to", peer, local)
	}
	return best, nil
}

// offerRest sends clients the cooperating servers that their SYN+ACK had no room
// for, once their session is there.
func (m *Mover) offerRest() {
	told := map[cbox.ID]int{}
	t := time.NewTicker(m.cfg.Timing.Retry)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-m.ctx.Done():
			return
		}
		now := map[cbox.ID]int{}
		for _, i := range m.cfg.Keeper.Sessions() {
			n := told[i.ID]
			if n < offers && i.Generation == 1 && m.offerMore(i.ID) {
				n++
			}
			now[i.ID] = n
		}
		told = now
	}
}

// offers is how often: the client says nothing to them.
const offers = 3

// offerMore reports whether all has been sent.
func (m *Mover) offerMore(id cbox.ID) bool {
	f, cert, err := m.holder(id)
	if err != nil {
		return false
	}
	rest := m.offered.Rest(!f.Local.Addr().Is4(), cert)
	n, err := m.steer.Query(f)
	for _, o := range rest {
		seg := wire.Segment{Src: f.Local, Dst: f.Remote, Seq: n.SndNxt - 1, Ack: n.RcvNxt, Flags: wire.ACK, Window: 65535}
		if err == nil {
			seg.Options, err = wire.Append(nil, o)
		}
		if err == nil {
			err = m.sender.Send(seg)
		}
	}
	if err != nil {
		m.log.Debug("offer more servers", "session", id, "err", err)
	}
	return err == nil
}
