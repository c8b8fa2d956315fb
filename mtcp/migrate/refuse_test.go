// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
	"lazystate/mtcp/wire"
)

// A client that could not follow an advice says so when its session may live elsewhere
// already (it has switched, and heard nothing). Advices and attempts are counted apart, so
// both may have one number: S1 goes on by the word that is meant for it, and by no other.
func TestDeclinedAdviceIsNoStay(t *testing.T) {
	f := steer.Flow{Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.MustParseAddrPort("10.0.0.9:1")}
	m, cert := lone(t), wire.Certificate{1}
	req := request{cert: cert, client: f.Remote, server: netip.MustParseAddrPort("10.0.0.2:80")}
	n := attempt(req.client, req.server)
	given := &givenMove{source: source{m: m, runner: newRunner(over{}, nil, nil)}, flow: f, req: req}
	former := &resumedMove{source: source{m: m, runner: newRunner(over{}, nil, nil)}, note: &parting{Flow: f, Cert: cert, Attempt: n}}
	out := &advice{n: n, cert: cert, done: make(chan error, 1)}
	m.advices = map[steer.Flow]*advice{f: out}
	for name, v := range map[string]move{"this daemon's": given, "a former one's": former} {
		m.moves = map[ID]move{{1}: v}
		in := map[move]chan party.Event{given: given.in, former: former.in}[v]
		for _, why := range []wire.Reason{wire.ReasonState, wire.ReasonPolicy} {
			m.refuses(f, wire.MigrateRefuse{N: n, Reason: why, Cert: cert})
			if len(in) > 0 {
				t.Fatalf("%s: it goes on here because the client says %s of an advice", name, why)
			}
			var said *RefusedError
			if err := <-out.done; !errors.As(err, &said) || said.Reason != why {
				t.Errorf("%s: the advice ends by %v", name, err)
			}
		}
		m.refuses(f, wire.MigrateRefuse{N: n + 1, Reason: wire.ReasonStays, Cert: cert})
		m.refuses(f, wire.MigrateRefuse{N: n, Reason: wire.ReasonStays, Cert: wire.Certificate{2}})
		if len(in) > 0 {
			t.Fatalf("%s: it goes on here by another attempt's end, or by anybody's word", name)
		}
		m.refuses(f, wire.MigrateRefuse{N: n, Reason: wire.ReasonStays, Cert: cert})
		if len(in) != 1 || (<-in).Kind != party.Stay {
			t.Errorf("%s: the client is not heard", name)
		}
		if len(out.done) > 0 {
			t.Errorf("%s: the end of an attempt has ended an advice: %v", name, <-out.done)
		}
	}
}

// A client is told what was in the way first: no room here, a state that nobody can take, or
// S1, which said no.
func TestRefusalSaysWhy(t *testing.T) {
	for _, c := range []struct {
		err  error
		want wire.Reason
	}{
		{&keeper.LimitError{}, wire.ReasonResources},
		{fmt.Errorf("reserve: %w", &cbox.SizeError{}), wire.ReasonResources},
		{&tcprepair.SizeError{}, wire.ReasonResources},
		{&MalformedError{"state reply", "2 sessions"}, wire.ReasonState},
	} {
		v := &takenMove{}
		if err := v.blamed(nil); err != nil || v.fault != 0 {
			t.Errorf("it is to blame for nothing: %v, %s", err, v.fault)
		}
		if err := v.blamed(c.err); err != c.err || v.fault != c.want {
			t.Errorf("%v: %v, %s, want %s", c.err, err, v.fault, c.want)
		}
		if v.blame(wire.ReasonSource); v.fault != c.want {
			t.Errorf("%v, and S1 afterwards: %s", c.err, v.fault)
		}
	}
	m := lone(t)
	v := &takenMove{inbox: inbox{m: m}, runner: newRunner(over{}, nil, nil)}
	if v.heard(frame{kindOf(party.Abort), ID{}, []byte("busy")}); v.fault != wire.ReasonState || (<-v.in).Why != "busy" {
		t.Errorf("S1 says no: %s", v.fault)
	}
}

// What S2 says of its refusal the client's move ends with.
func TestRefusalIsPassedOn(t *testing.T) {
	f := steer.Flow{Local: netip.MustParseAddrPort("10.0.0.9:1"), Remote: netip.MustParseAddrPort("10.0.0.2:80")}
	m := &clientMove{runner: newRunner(over{}, nil, nil), s: &clientSession{}}
	a := &Agent{asked: map[steer.Flow]*clientMove{f: m}}
	options, err := wire.Append(nil, wire.MigrateRefuse{Reason: wire.ReasonResources})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		segment wire.Segment
		want    string
	}{
		{wire.Segment{Flags: wire.RST | wire.ACK, Options: options}, "MIGRATE_REFUSE: resources"},
		{wire.Segment{Flags: wire.RST | wire.ACK}, ordinaryServer},
	} {
		a.take(steer.Event{Told: steer.Next, Flow: f, Segment: c.segment})
		select {
		case e := <-m.in:
			if e.Kind != party.Refuse || e.Why != c.want {
				t.Errorf("it hears %s, %q; want %q", e.Kind, e.Why, c.want)
			}
		default:
			t.Errorf("it hears nothing of %q", c.want)
		}
	}
}
