// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"lazystate/mtcp/cbox"
)

// Serve is srv.Serve for a listener of sessions (keeper.Client.Listen, cbox.Listen).
func Serve(srv *http.Server, l net.Listener) error {
	Prepare(srv)
	return srv.Serve(Listener{l})
}

// Prepare sets the hooks of a server that is to serve a Listener, beside those
// that it has.
func Prepare(srv *http.Server) {
	h, state, ctx := srv.Handler, srv.ConnState, srv.ConnContext
	if h == nil {
		h = http.DefaultServeMux
	}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Begin(w, r)
		h.ServeHTTP(w, r)
	})
	srv.ConnState = func(c net.Conn, s http.ConnState) {
		State(c, s)
		if state != nil {
			state(c, s)
		}
	}
	srv.ConnContext = func(parent context.Context, c net.Conn) context.Context {
		if ctx != nil {
			parent = ctx(parent, c)
		}
		return Context(parent, c)
	}
	if srv.MaxHeaderBytes == 0 || srv.MaxHeaderBytes > mostHead {
		srv.MaxHeaderBytes = mostHead
	}
}

// Listener accepts the sessions of another as Conns, and what has no box as it is.
type Listener struct{ net.Listener }

// Accept returns a *Conn, or a connection that cannot move.
func (l Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s, ok := c.(*cbox.Conn)
		if !ok {
			return c, nil
		}
		if c, err := newConn(s); err == nil {
			return c, nil
		}
		_ = s.SetLinger(0) // nobody can go on with it
		_ = s.Close()
	}
}

type key struct{}

// Context is a server's ConnContext.
func Context(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*Conn); ok {
		return context.WithValue(ctx, key{}, c)
	}
	return ctx
}

// From returns a request's session; nil if it has none.
func From(ctx context.Context) *Conn {
	c, _ := ctx.Value(key{}).(*Conn)
	return c
}

// State is a server's ConnState. Without it a session gets no further than its
// first request.
func State(c net.Conn, s http.ConnState) {
	switch c, ok := c.(*Conn); {
	case !ok:
	case s == http.StateIdle:
		c.next()
	case s == http.StateHijacked:
		c.rmu.Lock()
		c.frame.part = raw
		c.rmu.Unlock()
		c.change(true)
	}
}

// Begin is called before a handler: the response has the date of the request.
func Begin(w http.ResponseWriter, r *http.Request) {
	if c := From(r.Context()); c != nil {
		w.Header().Set("Date", c.Date().UTC().Format(http.TimeFormat))
	}
}

// Date is when the request came, in whatever process that was.
func (c *Conn) Date() (t time.Time) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.date
}

// Begins is where in the client's stream the request begins that is worked on: with
// the session's ID it names the request for good, also in a replay, and what the
// client asks later has more (§3.6.7).
func (c *Conn) Begins() uint64 {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	return c.begins
}

// Once returns what f does, and in every replay of the request that same value:
// for clocks, random numbers and whatever else a handler could not find again
// (§2.6.1). f itself may run twice. A request's calls come one after another.
func Once(r *http.Request, f func() []byte) ([]byte, error) {
	c := From(r.Context())
	if c == nil {
		return f(), nil
	}
	c.rmu.Lock()
	defer c.rmu.Unlock()
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.turn++; c.turn <= len(c.values) {
		return c.values[c.turn-1], nil
	}
	if len(c.values) == mostOnce {
		return nil, fmt.Errorf("more than %d choices in a request", mostOnce)
	}
	v := f()
	if c.held {
		return v, nil
	}
	c.values = append(c.values, v)
	if err := c.export(false); err != nil {
		c.values = c.values[:len(c.values)-1]
		return nil, err
	}
	return v, nil
}

// Hold keeps a response back until it is complete: h may answer as it likes,
// because nobody sees the answer of a process that did not get to its end. The
// response has to fit into the box (cbox.Config.Hold).
func Hold(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := From(r.Context()); c != nil {
			if err := c.hold(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

func (c *Conn) hold() error {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.held = true
	return c.export(true)
}
