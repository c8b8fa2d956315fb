// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// Somebody knows the four numbers of a connection and sends in its server's name: an
// offer with a certificate of his own, on a SYN+ACK and behind it, advice by that
// certificate to go on with him, and an arrival. He sees none of its segments. The
// client believes nothing of it, and goes where its server says.
func TestGuessedOffer(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent("--patience", "20s")
	end := w.download(own(0, false).Addr(), long)
	l := a.flow()
	local, remote, _ := strings.Cut(l.Flow, "-")
	src, dst := netip.MustParseAddrPort(remote), netip.MustParseAddrPort(local)
	robber := w.rig.Host("router")
	robber.Addr("10.9.0.66/24")
	var out *steer.Sender
	robber.Do(func() (err error) { out, err = steer.NewSender(); return err })
	defer out.Close()
	mine, cert := netip.MustParseAddrPort("10.9.0.66:8000"), wire.Certificate{6, 6, 6}
	say := func(flags wire.Flags, ack seqnum.Value, o wire.Option) {
		t.Helper()
		opts, err := wire.Append(nil, o)
		if err == nil {
			err = out.Send(wire.Segment{Src: src, Dst: dst, Seq: 77, Ack: ack, Flags: flags, Window: 65535, Options: opts})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	offer := wire.Offer{Parts: 2, Cert: cert, Servers: []netip.AddrPort{mine}}
	say(wire.SYN|wire.ACK, 1, offer)
	say(wire.SYN|wire.ACK, 0x80000000, offer)
	offer.Part = 1
	say(wire.ACK, 1, offer)
	say(wire.ACK, 1, wire.MigrateArrived{})
	say(wire.ACK, 1, wire.MigrateAdvise{N: 1, Cert: cert, Target: mine, Reason: wire.ReasonLoad})
	w.sites["s1"].await("the advice", func() bool { return strings.Contains(a.log.String(), "advice that no server of the connection gives") })
	if now := a.flow(); now.Moving || now.At != l.At || slices.Contains(now.Servers, mine.String()) {
		t.Errorf("it was %+v, it is %+v", l, now)
	}
	at, id := w.only()
	if out, err := at.ask("move", "--by", "client", "--to", "s2", id); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	end()
}

// Somebody knows the ends of connections and asks S2 for sessions in their clients' name. A
// connection that is there is not held back for that, nor is S1 asked about it: a flow that
// is nobody's, asked for later, is answered, and of the other nothing is known.
func TestGuessedRequest(t *testing.T) {
	w := newWorld(t, false)
	a := w.agent()
	end := w.download(own(1, false).Addr(), long)
	w.sites["s2"].await("a connection that can move", func() bool { return len(a.connections()) == 1 && len(w.sites["s2"].ls()) == 1 })
	local, _, _ := strings.Cut(a.connections()[0].Flow, "-")
	victim := netip.MustParseAddrPort(local)
	robber := w.rig.Host("router")
	robber.Addr("10.9.0.66/24")
	var out *steer.Sender
	robber.Do(func() (err error) { out, err = steer.NewSender(); return err })
	defer out.Close()
	nobody := netip.AddrPortFrom(victim.Addr(), victim.Port()^1)
	for _, src := range []netip.AddrPort{victim, nobody} {
		opts, err := wire.AppendSYN(nil, wire.MigrateRequest{Server: wire.ServerID(own(0, false)), Cert: wire.Certificate{6, 6, 6}}, 1400)
		if err == nil {
			err = out.Send(wire.Segment{Src: src, Dst: own(1, false), Seq: 77, Flags: wire.SYN, Window: 65535, Options: opts})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s2 := w.sites["s2"]
	about := func(c netip.AddrPort) string { return "client=" + c.String() + " " }
	s2.await("the end of the second", func() bool { return strings.Contains(s2.scd.log.String(), about(nobody)) })
	if log := s2.scd.log.String(); strings.Contains(log, about(victim)) {
		t.Errorf("S2 has asked for a session that it has:\n%s", log)
	}
	end()
}
