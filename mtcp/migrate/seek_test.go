// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lazystate/mtcp/party"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/wire"
)

// departing opens a file of departures, as a daemon does that begins.
func departing(t *testing.T, path string, now time.Time) *departures {
	t.Helper()
	d, err := openDepartures(path, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close() })
	return &d
}

// depart notes one.
func (d *departures) depart(t *testing.T, f steer.Flow, v departure, now time.Time) {
	t.Helper()
	if err := d.note(f, v, now); err != nil {
		t.Fatal(err)
	}
}

// Where a session has gone its client is told, for a while, and nobody else.
func TestDepartureIsTheClients(t *testing.T) {
	f := steer.Flow{Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.MustParseAddrPort("10.0.0.9:1")}
	other, to := steer.Flow{Local: f.Local, Remote: netip.MustParseAddrPort("10.0.0.9:2")}, netip.MustParseAddrPort("10.0.0.2:80")
	cert, now := wire.Certificate{1}, time.Now()
	d := departing(t, filepath.Join(t.TempDir(), departuresName), now)
	if _, ok := d.find(f, cert, now, 0); ok {
		t.Error("one that was never here")
	}
	for name, c := range map[string]struct {
		f    steer.Flow
		cert wire.Certificate
		at   time.Time
		told bool
	}{
		"its client":           {f, cert, now, true},
		"later":                {f, cert, now.Add(time.Minute), true},
		"too late":             {f, cert, now.Add(time.Minute + 1), false},
		"another connection":   {other, cert, now, false},
		"another certificate":  {f, wire.Certificate{2}, now, false},
		"no certificate":       {f, wire.Certificate{}, now, false},
		"somebody's, and late": {f, wire.Certificate{2}, now.Add(time.Hour), false},
	} {
		d.depart(t, f, departure{cert: cert, to: to, until: now.Add(time.Minute)}, now)
		if got, ok := d.find(c.f, c.cert, c.at, 0); ok != c.told || ok && got != to {
			t.Errorf("%s: %v, %t", name, got, ok)
		}
	}
	d.depart(t, f, departure{cert: cert, to: to, until: now.Add(time.Minute)}, now)
	for i, told := range []bool{true, false, false, false, true, false} { // it asks four times in a pause
		if _, ok := d.find(f, cert, now.Add(time.Duration(i)*time.Second), 4*time.Second); ok != told {
			t.Errorf("question %d: %t", i, ok)
		}
	}
}

// However many leave, so many are known and no more; those that are over make room, and
// looking for them is not each one's business.
func TestDeparturesAreBounded(t *testing.T) {
	flow := func(n int) steer.Flow {
		return steer.Flow{Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 24), byte(n >> 16), byte(n >> 8)}), uint16(n&255+1))}
	}
	path, cert, now := filepath.Join(t.TempDir(), departuresName), wire.Certificate{1}, time.Now()
	d := departing(t, path, now)
	for n := range mostDepartures + 10 {
		d.depart(t, flow(n), departure{cert: cert, until: now.Add(time.Minute)}, now)
	}
	if _, last := d.find(flow(mostDepartures+9), cert, now, 0); len(d.all) != mostDepartures || last {
		t.Errorf("%d are known, at most %d; the last one: %t", len(d.all), mostDepartures, last)
	}
	d.depart(t, flow(0), departure{cert: cert, until: now.Add(time.Hour)}, now.Add(time.Second)) // it has left again
	if _, again := d.find(flow(0), cert, now.Add(time.Minute*2), 0); !again {
		t.Error("one that is known is not known anew")
	}
	later := now.Add(time.Minute + 2*time.Second)
	d.depart(t, flow(-1), departure{cert: cert, until: later.Add(time.Minute)}, later)
	if _, ok := d.find(flow(-1), cert, later, 0); !ok || len(d.all) != 2 {
		t.Errorf("%d are known after the others are over: %t", len(d.all), ok)
	}
	if st, err := os.Stat(path); err != nil || st.Size() > int64((2*2+leastSessions)*departureLen) {
		t.Errorf("the file of two: %v, %v", st, err)
	}
}

// The next daemon tells what the last one would have told, and for no longer; half a
// record is none, and one that was written when the clock went before is told for as long
// as any.
func TestDeparturesOutliveTheDaemon(t *testing.T) {
	path, now := filepath.Join(t.TempDir(), departuresName), time.Now()
	flow := func(port uint16) steer.Flow {
		return steer.Flow{Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.AddrPortFrom(netip.MustParseAddr("fd00::9"), port)}
	}
	to := netip.MustParseAddrPort("10.0.0.2:80")
	d := departing(t, path, now)
	d.depart(t, flow(1), departure{cert: certOf(1), to: to, until: now.Add(time.Minute)}, now)
	d.depart(t, flow(2), departure{cert: certOf(2), to: to, until: now.Add(2 * time.Minute)}, now)
	d.depart(t, flow(3), departure{cert: certOf(3), to: to, until: now.Add(48 * time.Hour)}, now)
	d.depart(t, flow(2), departure{cert: certOf(4), to: to, until: now.Add(3 * time.Minute)}, now) // it was back, and left again
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, whole[:departureLen-1]...), 0o600); err != nil {
		t.Fatal(err)
	}
	later := now.Add(90 * time.Second)
	next := departing(t, path, later)
	for _, c := range []struct {
		f    steer.Flow
		cert wire.Certificate
		at   time.Time
		told bool
	}{
		{flow(1), certOf(1), later, false},
		{flow(2), certOf(2), later, false},
		{flow(2), certOf(4), later, true},
		{flow(2), certOf(4), now.Add(4 * time.Minute), false},
		{flow(3), certOf(3), later.Add(time.Hour - 1), true},
		{flow(3), certOf(3), later.Add(time.Hour + 1), false},
	} {
		if got, ok := next.find(c.f, c.cert, c.at, 0); ok != c.told || ok && got != to {
			t.Errorf("%s by %s: %v, %t", c.f, c.cert, got, ok)
		}
	}
	next.depart(t, flow(5), departure{cert: certOf(5), to: to, until: later.Add(time.Minute)}, later)
	if _, ok := departing(t, path, later).find(flow(5), certOf(5), later, 0); !ok {
		t.Error("what the second one has noted the third does not know")
	}
}

// giving is a client whose session may be with a server that it has given up.
func giving(t *testing.T) (m *clientMove, from netip.Addr) {
	t.Helper()
	a := NewAgent(nil, nil, party.Defaults, slog.New(slog.DiscardHandler))
	from = netip.MustParseAddr("10.0.0.9")
	to := steer.Flow{Local: netip.AddrPortFrom(from, 1000), Remote: netip.MustParseAddrPort("10.0.0.2:80")}
	s := &clientSession{given: &moveNote{to: to}}
	return &clientMove{a: a, s: s, f: to}, from
}

// What a client says of an attempt that is over is not taken by S1 for the end of the one
// by which another server may serve.
func TestAttemptIsNotTheOneGivenUp(t *testing.T) {
	m, from := giving(t)
	s3 := netip.MustParseAddrPort("10.0.0.3:80")
	is := attempt(m.s.given.to.Local, m.s.given.to.Remote)
	same := 0
	for p := range uint16(4096) {
		n := attempt(netip.AddrPortFrom(from, 2000+p), s3)
		if m.tells(n) != (n != is) {
			t.Fatalf("attempt %d beside %d", n, is)
		}
		if n == is {
			same++
		}
	}
	if same == 0 {
		t.Error("no two attempts had one number: nothing was tried")
	}
	if m.s.given = nil; !m.tells(is) {
		t.Error("a server that has the session no more counts")
	}
}

// What ends with Done or Failed is what the machine waits for: a client that follows says
// its word again when it has switched, and gives up if it cannot.
func TestFollowingIsCarriedOut(t *testing.T) {
	for _, bad := range []error{nil, errors.New("no way")} {
		c := party.FollowClient(party.Timing{Retry: time.Hour})
		var did []string
		var why string
		r := newRunner(c, func(e party.Effect) error {
			did = append(did, e.String())
			if e.Do == party.Follow {
				return bad
			}
			return nil
		}, func(w string) { why = w })
		r.timer = time.NewTimer(time.Hour)
		r.step(party.Event{Kind: party.Start})
		want, is := []string{"follow", "RCVD_WHILE_MIGRATING"}, party.Switched
		if bad != nil {
			want, is = want[:1], party.Off
		}
		if !slices.Equal(did, want) || c.State() != is || (why != "") != (bad != nil) {
			t.Errorf("%v: it did %v and is %s: %s", bad, did, c.State(), why)
		}
	}
}

// An agent that is started anew tells S1 that it stays only of an attempt in which it has
// certainly not given S2 its word.
func TestStaysOnlyOfWhatWasAsked(t *testing.T) {
	for is, want := range map[steer.State][2]bool{ // of a note without a reply, and with one
		steer.Off: {true, false}, steer.Migrating: {true, true}, steer.Switched: {false, false}, steer.Moved: {false, false},
	} {
		for i, n := range []moveNote{{}, {reply: &wire.MigrateReply{}}} {
			if got := n.wasAsking(is); got != want[i] {
				t.Errorf("%s, replied %t: %t", is, n.reply != nil, got)
			}
		}
	}
}

// An advice that says where a session is moves nothing unless the client has asked: it has
// given a server up, shows the certificate of now, and is in no move.
func TestNobodyFollowsUnasked(t *testing.T) {
	for name, spoil := range map[string]func(m *clientMove, o *wire.MigrateAdvise){
		"nothing was given up":  func(m *clientMove, _ *wire.MigrateAdvise) { m.s.given = nil },
		"another certificate":   func(_ *clientMove, o *wire.MigrateAdvise) { o.Cert[0]++ },
		"it moves":              func(m *clientMove, _ *wire.MigrateAdvise) { m.s.moving = m },
		"no connection of ours": func(m *clientMove, _ *wire.MigrateAdvise) { delete(m.a.sessions, m.f) },
	} {
		m, _ := giving(t)
		m.a.sessions[m.f], m.s.cert = m.s, wire.Certificate{7}
		o := wire.MigrateAdvise{Reason: wire.ReasonElsewhere, Cert: m.s.cert}
		spoil(m, &o)
		was := m.s.moving
		m.a.advised(m.f, m.f, o)
		if m.s.moving != was || len(m.a.asked) > 0 {
			t.Errorf("%s: it follows", name)
		}
	}
}
