// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/mtcp"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

var sample = State{Name: "web", Read: 1 << 40, Written: 7, Client: mtcp.Client{Known: true, Next: 6, Fin: true}, Cert: wire.Certificate{1, 2, 8}, Socket: []byte("socket"), Box: []byte("box")}

func TestStateRoundTrip(t *testing.T) {
	for _, want := range []State{sample, {Name: "", Socket: []byte{}, Box: []byte{}}} {
		got, err := ParseState(want.AppendBinary(nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&want, got); d != "" {
			t.Error(d)
		}
	}
}

// A state that was cut anywhere, or has more behind it, is refused.
func TestStateCut(t *testing.T) {
	b := sample.AppendBinary(nil)
	for n := range b {
		if s, err := ParseState(b[:n]); err == nil {
			t.Errorf("%d of %d bytes are %+v", n, len(b), s)
		}
	}
	if _, err := ParseState(append(b, 0)); err == nil {
		t.Error("a byte more is taken")
	}
	b[4]++
	if bad := (*MalformedError)(nil); !errors.As(func() error { _, err := ParseState(b); return err }(), &bad) {
		t.Error("another version is taken")
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(sample.AppendBinary(nil))
	f.Add([]byte(stateMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if err != nil {
			return
		}
		if again, err := ParseState(s.AppendBinary(nil)); err != nil || !cmp.Equal(s, again) {
			t.Errorf("%+v, again %+v, %v", s, again, err)
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	f.Add(frame{kindOf(party.Go), ID{1}, nil}.append(nil))
	f.Add(frame{part, ID{2}, []byte("body")}.append(nil))
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 100
		got, err := readFrame(bytes.NewReader(b), most)
		if err != nil {
			return
		}
		if len(got.body) > most || !bytes.HasPrefix(b, got.append(nil)) {
			t.Errorf("%v of %x", got, b)
		}
	})
}

func FuzzParseProposal(f *testing.F) {
	f.Add(proposal{way: ByTakeover, addr: netip.MustParseAddr("10.0.0.1")}.append(nil))
	f.Add(proposal{way: ByGateway, flow: steer.Flow{Local: netip.MustParseAddrPort("[fd00::1]:80"), Remote: netip.MustParseAddrPort("[fd00::2]:1")}, name: "web"}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseProposal(b)
		if err == nil && !bytes.Equal(p.append(nil), b) {
			t.Errorf("%x is %+v", b, p)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add(request{wire.Certificate{1}, 7, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("[fd00::1]:2")}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRequest(b); err == nil && !bytes.Equal(r.append(nil), b) {
			t.Errorf("%x is %+v", b, r)
		}
	})
}

func FuzzParseTurn(f *testing.F) {
	f.Add(turn{netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2"), netip.MustParseAddrPort("10.0.0.3:3")}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := parseTurn(b); err == nil && !bytes.Equal(v.append(nil), b) {
			t.Errorf("%x is %+v", b, v)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add(Status{Sessions: 1, Capacity: 2, Here: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseStatus(b); err == nil && !bytes.Equal(s.append(nil), b) {
			t.Errorf("%x is %+v", b, s)
		}
	})
}

// Every kind has a number of its own, and there is none twice.
func TestKinds(t *testing.T) {
	for k := party.Propose; k <= party.Query; k++ {
		if n := kindOf(k); n == 0 || n == part || n == status || between[n] != k {
			t.Errorf("%v is %d", k, n)
		}
	}
}

// What an agent notes comes back; nothing else is taken for a note.
func FuzzParseAgentNote(f *testing.F) {
	end := netip.MustParseAddrPort
	flow := steer.Flow{Local: end("10.0.0.9:5"), Remote: end("[fd00::2]:80")}
	for _, n := range []agentNote{
		{offer: wire.Certificate{1}, cert: wire.Certificate{2}, first: flow.Remote, at: flow.Local, moves: 3},
		{first: flow.Remote, at: flow.Remote, servers: []netip.AddrPort{flow.Remote, flow.Local}, move: &moveNote{to: flow, old: steer.Flow{Local: flow.Remote, Remote: flow.Local}}},
		{first: flow.Remote, at: flow.Remote, given: &moveNote{to: flow, old: flow, sndNxt: 7, reply: &wire.MigrateReply{LSRC: 8, Cert: wire.Certificate{3}}}},
		{first: flow.Remote, at: flow.Remote, servers: []netip.AddrPort{flow.Remote}, move: &moveNote{to: flow, old: flow},
			given: &moveNote{to: flow, old: flow, sndNxt: 7, reply: &wire.MigrateReply{ImplicitAck: 8}}},
		{first: flow.Remote, at: flow.Remote, move: &moveNote{to: flow, old: flow, sndNxt: 7, reply: &wire.MigrateReply{LSRC: 8, ImplicitAck: 9, Cert: wire.Certificate{3}}}},
	} {
		b := n.append(nil)
		f.Add(b)
		if got, err := parseAgentNote(b); err != nil || !reflect.DeepEqual(*got, n) {
			f.Errorf("%+v came back as %+v, %v", n, got, err)
		}
		if _, err := parseAgentNote(b[:len(b)-1]); err == nil {
			f.Error("a part of it is taken for all")
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := parseAgentNote(b)
		if err != nil {
			return
		}
		again, err := parseAgentNote(n.append(nil))
		if err != nil || !reflect.DeepEqual(n, again) {
			t.Errorf("%+v came back as %+v, %v", n, again, err)
		}
	})
}
