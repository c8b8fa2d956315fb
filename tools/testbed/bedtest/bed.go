// SPDX-License-Identifier: Apache-2.0

package bedtest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"lazystate/internal/netrig"
	"lazystate/mtcp/keeper/keepertest"
	"lazystate/mtcp/steer"
	"lazystate/tools/control"
	"lazystate/tools/lab"
	"lazystate/tools/testbed"
)

// bound is for all that happens on one bed.
const bound = 10 * time.Minute

// Ways are those in which a session goes elsewhere.
var Ways = []string{"client", "gateway", "takeover"}

// Bed is two servers and a client, whose one session moves.
type Bed struct {
	*testbed.Bed
	Way string

	t   *testing.T
	ctx context.Context
	at  *testbed.Site // where it is
}

// Each runs a test once for each of the ways.
func Each(t *testing.T, service string, f func(t *testing.T, b *Bed)) {
	for _, way := range Ways {
		t.Run(way, func(t *testing.T) { On(t, service, way, func(b *Bed) { f(t, b) }) })
	}
}

// On runs f on a bed whose sessions go one of the ways. The service's processes are
// known to the keeper by its name.
func On(t *testing.T, service, way string, f func(b *Bed)) {
	t.Helper()
	if err := errors.Join(netrig.Usable(), steer.Probe()); err != nil {
		lab.Skip(t, err.Error())
	}
	keepertest.Servers(t)
	cfg := testbed.Config{Service: service, Clients: []testbed.Link{{Agent: way == "client"}}, Gateway: way == "gateway"}
	err := testbed.Run(t.Context(), cfg, func(b *testbed.Bed) error {
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		defer cancel()
		defer func() {
			if t.Failed() {
				t.Logf("the daemon of s1 said:\n%s\nthat of s2:\n%s", b.S1.SCD.Said(), b.S2.SCD.Said())
			}
		}()
		// Where it is 32 MB, a slow machine's buffers grow to that.
		b.Clients[0].Sysctl("net/ipv4/tcp_rmem", "4096 131072 6291456")
		f(&Bed{Bed: b, Way: way, t: t, ctx: ctx, at: b.S1})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Serve starts a server process on both machines, and waits until it listens; see
// testbed.Bed.Serve.
func (b *Bed) Serve(program string, args ...string) {
	b.t.Helper()
	if _, err := b.Bed.Serve(b.ctx, program, args...); err != nil {
		b.t.Fatal(err)
	}
}

// Addr is where clients find the service.
func (b *Bed) Addr() string {
	if b.Way == "takeover" {
		return netip.AddrPortFrom(testbed.Shared, testbed.Port).String()
	}
	return b.S1.Addr.String()
}

// Client starts a program on the client's machine, which makes one connection.
func (b *Bed) Client(name string, args ...string) (c *keepertest.Client) {
	b.t.Helper()
	if b.Way != "takeover" { // that address stays where the last session has gone
		b.at = b.S1
	}
	b.Clients[0].Do(func() error { c = keepertest.NewClient(b.t, name, args...); return nil })
	return c
}

// Hop has the session go on at the other server, once a process has it here.
func (b *Bed) Hop() {
	b.t.Helper()
	to := b.S2
	if b.at == b.S2 {
		to = b.S1
	}
	err := b.at.Settled(b.ctx, 1)
	var moved testbed.Moved
	if err == nil {
		moved, err = b.at.Away(b.ctx, control.Request{Cmd: "drain", By: b.Way, To: to.Name})
	}
	if err != nil || moved.Sessions != 1 {
		b.t.Fatalf("from %s to %s by %s: %+v, %v", b.at.Name, to.Name, b.Way, moved, err)
	}
	b.at = to
}
