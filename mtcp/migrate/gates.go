// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"lazystate/internal/identity"
	"lazystate/mtcp/steer"
)

// gates are the gateways that this server's clients come through, by one or
// another: all of them are told.
type gates struct {
	id  *identity.Identity
	all []*gate
}

// gate is a connection to one, made when it is needed.
type gate struct {
	peer Peer
	mu   sync.Mutex // one request at a time
	c    net.Conn
}

func newGates(id *identity.Identity, peers []Peer) *gates {
	g := &gates{id: id}
	for _, p := range peers {
		g.all = append(g.all, &gate{peer: p})
	}
	return g
}

// errNoGateway: the configuration names none.
var errNoGateway = errors.New("no gateway is configured")

// turn tells all; the first error ends it.
func (g *gates) turn(ctx context.Context, kind uint8, t turn) error {
	if len(g.all) == 0 {
		return errNoGateway
	}
	for _, one := range g.all {
		if err := one.ask(ctx, g.id, frame{kind: kind, id: newID(), body: t.append(nil)}); err != nil {
			return fmt.Errorf("gateway %s: %w", one.peer.Name, err)
		}
	}
	return nil
}

// insist repeats that while gateways cannot be reached: what has been decided is
// to be carried out.
func (g *gates) insist(ctx context.Context, kind uint8, t turn, most time.Duration) error {
	for end := time.Now().Add(most); ; {
		err := g.turn(ctx, kind, t)
		if said := (*gateError)(nil); err == nil || errors.As(err, &said) || errors.Is(err, errNoGateway) || time.Now().After(end) {
			return err
		}
		select {
		case <-time.After(firstPause):
		case <-ctx.Done():
			return err
		}
	}
}

// gateError is what a gateway has said.
type gateError struct{ why string }

func (e *gateError) Error() string { return e.why }

func (g *gate) ask(ctx context.Context, id *identity.Identity, f frame) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	fresh := g.c == nil
	err := g.exchange(ctx, id, f)
	if said := (*gateError)(nil); err == nil || errors.As(err, &said) {
		return err
	}
	g.close()
	if fresh {
		return err
	}
	if err = g.exchange(ctx, id, f); err != nil { // the connection was an old one
		if said := (*gateError)(nil); !errors.As(err, &said) {
			g.close()
		}
	}
	return err
}

func (g *gate) close() {
	if g.c != nil {
		g.c.Close()
	}
	g.c = nil
}

func (g *gate) exchange(ctx context.Context, id *identity.Identity, f frame) error {
	if g.c == nil {
		c, err := reach(ctx, id, g.peer, gatewayProtocol)
		if err != nil {
			return err
		}
		g.c = c
	}
	if err := g.c.SetDeadline(time.Now().Add(dialBound)); err != nil {
		return err
	}
	if err := writeFrame(g.c, f); err != nil {
		return err
	}
	a, err := readFrame(g.c, 4096)
	switch {
	case err != nil:
		return err
	case a.id != f.id || a.kind != gateDone && a.kind != gateFailed:
		return &MalformedError{"answer of a gateway", a.String()}
	case a.kind == gateFailed:
		return &gateError{fmt.Sprintf("%.*s", mostWhy, a.body)}
	}
	return nil
}

// reach dials whoever has the peer's key.
func reach(ctx context.Context, id *identity.Identity, p Peer, protocol string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialBound)
	defer cancel()
	d := &net.Dialer{KeepAliveConfig: keepAlive}
	d.SetMultipathTCP(false)
	return (&tls.Dialer{NetDialer: d, Config: id.TLS(protocol, func(k identity.PublicKey) error {
		if k != p.Key {
			return fmt.Errorf("%s at %s has another key than the configuration says", p.Name, p.Address)
		}
		return nil
	})}).DialContext(ctx, "tcp", p.Address)
}

// gatewayLeaves is S1's side of a redirection at a gateway. Commit does nothing:
// S2 has the gateway switch when it has the word.
type gatewayLeaves struct {
	m *Mover
	t turn
}

// leaveByGateway holds back what the client sends, at the gateway first, which
// keeps it.
func (m *Mover) leaveByGateway(t turn) (leaving, error) {
	if m.steer == nil {
		return nil, errNoInterfaces
	}
	if err := m.holdBack(t); err != nil {
		return nil, err
	}
	l := gatewayLeaves{m, t}
	if err := m.steer.Hold(l.flow(), steer.Deaf, 0); err != nil {
		return nil, errors.Join(err, l.undo())
	}
	return l, nil
}

// holdBack has gateways do that. One that was lost over it may do it all the same, and
// would go on for as long as a move may take: it is told when it is there again.
func (m *Mover) holdBack(t turn) error {
	err := m.gates.turn(m.ctx, gateHold, t)
	if err == nil || errors.Is(err, errNoGateway) {
		return err
	}
	return errors.Join(err, m.gates.insist(m.ctx, gateBack, t, m.cfg.Timing.Step))
}

func (l gatewayLeaves) flow() steer.Flow { return steer.Flow{Local: l.t.from, Remote: l.t.client} }
func (l gatewayLeaves) place() []byte    { return []byte{} }
func (l gatewayLeaves) prefix() string   { return "" }
func (l gatewayLeaves) commit() error    { return nil }
func (l gatewayLeaves) done() error      { return l.m.steer.Hold(l.flow(), steer.Deaf, lingering) }

func (l gatewayLeaves) undo() error {
	return errors.Join(l.m.gates.insist(l.m.ctx, gateBack, l.t, l.m.cfg.Timing.Step), l.m.steer.Release(l.flow()))
}

// gatewayArrives is S2's side.
type gatewayArrives struct {
	m *Mover
	t turn
}

func (m *Mover) arriveByGateway(t turn) (arriving, error) {
	a := gatewayArrives{m, t}
	if err := m.steer.Hold(a.flow(), steer.Early, holdBound); err != nil {
		return nil, err
	}
	return a, nil
}

func (a gatewayArrives) flow() steer.Flow { return steer.Flow{Local: a.t.to, Remote: a.t.client} }

// open: the gateway goes on holding back what the client sends until it hears
// the socket.
func (a gatewayArrives) open() error {
	if err := a.m.gates.insist(a.m.ctx, gateSwitch, a.t, a.m.cfg.Timing.Step); err != nil {
		return err
	}
	return a.m.steer.Release(a.flow())
}

func (a gatewayArrives) undo() error { return a.m.steer.Release(a.flow()) }

// endsOf is a flow as a turn has it.
func endsOf(f steer.Flow, to netip.AddrPort) turn { return turn{f.Remote, f.Local, to} }
