// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"log/slog"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// A SYN+ACK is a connection's own if it acknowledges the SYN, whatever has been sent
// since; who guesses its ends has to guess that number too.
func TestOfferAnswersTheSYN(t *testing.T) {
	iss := seqnum.Value(0xfffffff0)
	for name, c := range map[string]struct {
		n     steer.Numbers
		ack   seqnum.Value
		flags wire.Flags
		want  bool
	}{
		"SYN_SENT":                    {steer.Numbers{SndUna: iss, SndNxt: iss + 1}, iss + 1, wire.SYN | wire.ACK, true},
		"established":                 {steer.Numbers{SndUna: iss + 1, SndNxt: iss + 1, Acked: 1}, iss + 1, wire.SYN | wire.ACK, true},
		"much is acknowledged":        {steer.Numbers{SndUna: iss + 5001, SndNxt: iss + 6001, Acked: 5001}, iss + 1, wire.SYN | wire.ACK, true},
		"more than a number can tell": {steer.Numbers{SndUna: iss + 8, SndNxt: iss + 8, Acked: 1<<32 + 8}, iss + 1, wire.SYN | wire.ACK, true},
		"of now":                      {steer.Numbers{SndUna: iss + 5001, SndNxt: iss + 6001, Acked: 5001}, iss + 5001, wire.SYN | wire.ACK, false},
		"a guess":                     {steer.Numbers{SndUna: iss + 1, SndNxt: iss + 1, Acked: 1}, 7, wire.SYN | wire.ACK, false},
		"no SYN":                      {steer.Numbers{SndUna: iss + 1, SndNxt: iss + 1, Acked: 1}, iss + 1, wire.ACK, false},
		"a SYN":                       {steer.Numbers{SndUna: iss + 1, SndNxt: iss + 1, Acked: 1}, iss + 1, wire.SYN, false},
		"a RST":                       {steer.Numbers{SndUna: iss + 1, SndNxt: iss + 1, Acked: 1}, iss + 1, wire.SYN | wire.ACK | wire.RST, false},
	} {
		if got := answersSYN(wire.Segment{Flags: c.flags, Ack: c.ack}, c.n); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The SYN+ACK that comes twice changes nothing, also when the session has moved; that
// of another connection with the same ends makes a new one of it.
func TestOfferComesTwice(t *testing.T) {
	a := NewAgent(nil, nil, party.Defaults, slog.New(slog.DiscardHandler))
	f := steer.Flow{Local: netip.MustParseAddrPort("10.0.0.9:1"), Remote: netip.MustParseAddrPort("10.0.0.1:80")}
	first := wire.Offer{Parts: 2, Cert: wire.Certificate{1}, Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:80")}}
	a.offered(f, first)
	a.offered(f, wire.Offer{Part: 1, Parts: 2, Cert: first.Cert, Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.3:80")}})
	s := a.sessions[f]
	s.at, s.cert, s.moves = s.servers[0], wire.Certificate{2}, 1
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	s.keepPort(f.Local, pipe[1])
	a.offered(f, first)
	if a.sessions[f] != s || len(s.servers) != 2 || s.moves != 1 || len(s.ports) != 1 {
		t.Errorf("it was taken for another's: %+v", a.sessions[f])
	}
	a.offered(f, wire.Offer{Parts: 1, Cert: wire.Certificate{3}})
	if now := a.sessions[f]; now == s || now.at != f.Remote || len(now.servers) != 0 {
		t.Errorf("it was taken for the earlier one's: %+v", now)
	}
	if n, err := unix.Read(pipe[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the earlier one's port is kept: %d, %v", n, err)
	}
}

// The word that lets a session live at S2 is that of a client that has heard S2: who
// guesses the flow alone is not heard, before the reply and after it.
func TestAckAnswersTheReply(t *testing.T) {
	m := lone(t)
	f := steer.Flow{Local: netip.MustParseAddrPort("10.0.0.2:80"), Remote: netip.MustParseAddrPort("10.0.0.9:1")}
	v := &takenMove{inbox: inbox{m: m}, runner: newRunner(over{}, nil, nil), flow: f, syn: wire.Segment{Seq: 1000}}
	m.taken = map[steer.Flow]*takenMove{f: v}
	say := func(seq, ack seqnum.Value, flags wire.Flags, delta seqnum.Size) bool {
		before := len(v.in)
		m.acked(steer.Event{Flow: f, Segment: wire.Segment{Seq: seq, Ack: ack, Flags: flags}}, wire.RcvdWhileMigrating{Delta: delta})
		return len(v.in) > before
	}
	if say(1001, 0, wire.ACK, 5) {
		t.Error("before the reply")
	}
	v.reply = &wire.MigrateReply{LSRC: 77}
	if say(1000, 77, wire.ACK, 5) || say(1001, 78, wire.ACK, 5) || say(1001, 0, wire.SYN, 5) || say(1001, 77, wire.ACK|wire.RST, 5) {
		t.Error("a guess is heard")
	}
	if v.delta != 0 {
		t.Errorf("a guess is noted: %d", v.delta)
	}
	if !say(1001, 77, wire.ACK, 5) || v.delta != 5 {
		t.Errorf("the client is not heard; it has %d", v.delta)
	}
}
