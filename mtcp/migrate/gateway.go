// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lazystate/internal/identity"
	"lazystate/internal/noise"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
)

// Gateway has a router that clients' traffic crosses send their segments to
// where servers say that the sessions are. A server can send away what it has,
// and take what is sent to it; nothing else.
type Gateway struct {
	Identity *identity.Identity
	Servers  []Peer // Address is not used
	Listen   net.Listener
	Steer    *steer.Agent // with steer.Config.Gateway
	Timing   party.Timing
	Log      *slog.Logger
	Point    func(string) // as an Agent's; nil: none

	mu sync.Mutex // one thing at a time: steer wants it for each session

	holds *limiter     // by server
	quiet *slog.Logger // of what others can have said
	conns gatewayConns
}

// gatewayConns are the connections of servers, one of each: who comes again ends
// the older, and has no more of the gateway than others.
type gatewayConns struct {
	mu sync.Mutex
	of map[identity.PublicKey]net.Conn
}

func (g *gatewayConns) enter(who identity.PublicKey, c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old := g.of[who]; old != nil {
		old.Close()
	}
	g.of[who] = c
}

func (g *gatewayConns) leave(who identity.PublicKey, c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[who] == c {
		delete(g.of, who)
	}
}

// gatewayProtocol is what both ends must mean.
const gatewayProtocol = "lazystate-mtcp-gateway/1"

// What a server says to a gateway, and what that answers.
const (
	gateHold   = 80 // the client's segments go nowhere until one of the next two
	gateSwitch = 81 // S2: they are for me
	gateBack   = 82 // S1: they are for me, as before
	gateDone   = 83
	gateFailed = 84
)

// turn is one session's redirection: what the client's segments are to do. Ends
// are as on the wire between gateway and server.
type turn struct{ client, from, to netip.AddrPort }

func (t turn) append(b []byte) []byte {
	return appendEnd(appendEnd(appendEnd(b, t.client), t.from), t.to)
}

func parseTurn(b []byte) (t turn, err error) {
	if len(b) != 3*addrLen {
		return t, &MalformedError{"request to a gateway", fmt.Sprintf("%d bytes", len(b))}
	}
	return turn{parseEnd(b), parseEnd(b[addrLen:]), parseEnd(b[2*addrLen:])}, nil
}

// Run serves until ctx ends.
func (g *Gateway) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer context.AfterFunc(ctx, func() { g.Listen.Close() })()
	if g.holds == nil {
		g.holds = newLimiter(sessionRate)
	}
	g.quiet, g.conns.of = slog.New(noise.New(g.Log.Handler(), 1)), map[identity.PublicKey]net.Conn{}
	places := make(chan struct{}, mostGuests)
	for {
		places <- struct{}{}
		c, err := g.Listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			<-places
			g.Log.Warn("accept a server", "err", err)
			time.Sleep(firstPause)
			continue
		}
		tasks.Go(func() {
			defer context.AfterFunc(ctx, func() { c.Close() })()
			defer c.Close()
			who, t, err := g.admit(ctx, c)
			<-places
			if err == nil {
				err = g.serve(who, t)
			}
			if err != nil && ctx.Err() == nil {
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				g.quiet.With("from", host).Info("a server's connection has ended", "err", err)
			}
		})
	}
}

// admit finds out who it is.
func (g *Gateway) admit(ctx context.Context, c net.Conn) (who Peer, _ net.Conn, err error) {
	t := tls.Server(c, g.Identity.TLS(gatewayProtocol, func(k identity.PublicKey) error {
		i := slices.IndexFunc(g.Servers, func(p Peer) bool { return p.Key == k })
		if i < 0 {
			return errors.New("nobody here knows this key")
		}
		who = g.Servers[i]
		return nil
	}))
	bounded, cancel := context.WithTimeout(ctx, dialBound)
	defer cancel()
	err = t.HandshakeContext(bounded)
	return who, t, err
}

func (g *Gateway) serve(who Peer, t net.Conn) error {
	g.conns.enter(who.Key, t)
	defer g.conns.leave(who.Key, t)
	for {
		f, err := readFrame(t, 3*addrLen)
		if err != nil {
			return err
		}
		answer := frame{kind: gateDone, id: f.id}
		if err := g.turn(who, f); errors.Is(err, errTooOften) {
			g.quiet.With("server", who.Name).Warn("it asks for moves too often")
			answer.kind, answer.body = gateFailed, []byte(err.Error())
		} else if err != nil {
			g.Log.Info("a server is refused", "server", who.Name, "err", err)
			answer.kind, answer.body = gateFailed, []byte(err.Error())
		}
		if err := errors.Join(t.SetWriteDeadline(time.Now().Add(writeBound)), writeFrame(t, answer)); err != nil {
			return err
		}
	}
}

func (g *Gateway) turn(who Peer, f frame) error {
	t, err := parseTurn(f.body)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	owner := t.from
	if f.kind == gateSwitch {
		owner = t.to
	}
	if !slices.Contains(who.Serves, owner) {
		return fmt.Errorf("%s does not serve at %s", who.Name, owner)
	}
	switch f.kind {
	case gateHold: // the others end what it has begun
		if !g.holds.allow(who.Key.String()) {
			return errTooOften
		}
		return g.do("hold", g.hold, t)
	case gateSwitch:
		return g.do("switch", g.change, t)
	case gateBack:
		return g.do("back", g.back, t)
	}
	return &MalformedError{"request to a gateway", fmt.Sprintf("kind %d", f.kind)}
}

func (g *Gateway) do(what string, f func(turn) error, t turn) error {
	if g.Point == nil {
		return f(t)
	}
	g.Point("before " + what)
	err := f(t)
	g.Point("after " + what)
	return err
}

// hold begins a redirection.
func (g *Gateway) hold(t turn) error {
	if !slices.ContainsFunc(g.Servers, func(p Peer) bool { return slices.Contains(p.Serves, t.to) }) {
		return fmt.Errorf("no server is known to serve at %s", t.to)
	}
	app := g.Steer.App(steer.Flow{Local: t.client, Remote: t.from})
	if s, err := g.Steer.Session(app); err == nil && s.Wire != (steer.Flow{Local: t.client, Remote: t.from}) {
		return fmt.Errorf("session %s is at %s", app, s.Wire.Remote)
	}
	_, err := g.Steer.Begin(app, steer.Try{Server: t.to, Local: t.client, For: g.Timing.Doubt + 2*g.Timing.Step})
	return err
}

// change gives the client's segments to the new server. Said again, as when the
// answer was lost, it changes nothing.
func (g *Gateway) change(t turn) error {
	to := steer.Flow{Local: t.client, Remote: t.to}
	app := g.Steer.App(to)
	s, err := g.Steer.Session(app)
	switch {
	case err != nil:
		return err
	case s.Wire == to && s.State != steer.Migrating:
		return nil
	case s.State != steer.Migrating || s.Asked != to:
		return fmt.Errorf("session %s is not on its way to %s", app, t.to)
	}
	_, err = g.Steer.Switch(app, steer.Shift{})
	return err
}

// back ends a redirection that came to nothing, likewise.
func (g *Gateway) back(t turn) error {
	from := steer.Flow{Local: t.client, Remote: t.from}
	app := g.Steer.App(from)
	s, err := g.Steer.Session(app)
	switch {
	case errors.Is(err, steer.ErrNoSession):
		return nil
	case err != nil:
		return err
	case s.State == steer.Switched && s.Wire.Remote == t.to:
		return g.Steer.Return(app, from)
	case s.Wire != from:
		return fmt.Errorf("session %s is at %s", app, s.Wire.Remote)
	case s.State != steer.Migrating:
		return nil
	}
	return g.Steer.FallBack(app)
}
