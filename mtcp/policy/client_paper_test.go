// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// stream is a server that sends chunks of 1 KB at gaps that grow after 32 KB, as
// the streaming server of §2.7.2.
type stream struct {
	s    Sample
	sent int
	gap  time.Duration
}

const chunk = 1024

func (v *stream) next() Sample {
	if v.sent++; v.sent > 32 {
		v.gap += v.gap / 10
	}
	v.s.At += v.gap
	v.s.Received += chunk
	return v.s
}

// §2.7.2: the session moves when the smoothed rate is 25 % under the maximum of
// the current server, which begins anew with each server.
func TestPaperRatePolicy(t *testing.T) {
	r := &Rate{}
	v := stream{gap: 10 * time.Millisecond}
	r.Look(v.s)
	for hop := range 5 {
		for i := 0; ; i++ {
			now := v.next()
			why := r.Look(now)
			if (why != "") != (r.best > 0 && r.smoothed < 0.75*r.best) {
				t.Fatalf("hop %d, chunk %d: %q at %.0f of %.0f", hop, i, why, r.smoothed, r.best)
			}
			if why != "" {
				if v.sent <= 32 {
					t.Fatalf("hop %d: it moved at chunk %d, before the server was slower", hop, v.sent)
				}
				break
			}
			if i > 200 {
				t.Fatalf("hop %d: a server that is ever slower is not left", hop)
			}
		}
		// The next server is half as fast at its best: that is no reason to leave it.
		v.s.Moves++
		v.sent, v.gap = 0, 20*time.Millisecond
		if why := r.Look(v.s); why != "" {
			t.Fatalf("hop %d: the new server is blamed: %s", hop, why)
		}
	}
}

// A steady stream never moves, however fast it is and whatever its gaps within
// a tenth.
func TestRateOfASteadyStream(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &Rate{}
		gap := time.Duration(rapid.IntRange(1, 1000).Draw(rt, "ms")) * time.Millisecond
		s := Sample{}
		for range 200 {
			s.At += gap + gap*time.Duration(rapid.IntRange(-10, 10).Draw(rt, "jitter"))/100
			s.Received += chunk
			if why := r.Look(s); why != "" {
				rt.Fatal(why)
			}
		}
	})
}

// A stream that stops is left, by Rate and by Silence, within a bounded time.
func TestStreamThatStops(t *testing.T) {
	for name, trigger := range map[string]Trigger{"rate": &Rate{}, "silence": &Silence{For: 300 * time.Millisecond}} {
		s := Sample{}
		for range 50 {
			s.At += 10 * time.Millisecond
			s.Received += chunk
			if why := trigger.Look(s); why != "" {
				t.Fatalf("%s: %s", name, why)
			}
		}
		for n := 0; ; n++ {
			s.At += 10 * time.Millisecond
			if trigger.Look(s) != "" {
				break
			}
			if n > 40 {
				t.Fatalf("%s does not see that nothing comes", name)
			}
		}
	}
}

func TestDelay(t *testing.T) {
	d := &Delay{Limit: 100 * time.Millisecond}
	s := Sample{}
	look := func(after time.Duration, sent, received uint64) string {
		s.At, s.Sent, s.Received = s.At+after, s.Sent+sent, s.Received+received
		return d.Look(s)
	}
	for i, c := range []struct {
		after          time.Duration
		sent, received uint64
		move           bool
	}{
		{0, 0, 0, false},
		{time.Hour, 0, 0, false}, // it idles
		{1, 100, 0, false},       // a request
		{50 * time.Millisecond, 0, 0, false},
		{49 * time.Millisecond, 0, 1, false}, // its answer
		{time.Hour, 0, 0, false},             // it idles again
		{1, 100, 0, false},
		{99 * time.Millisecond, 10, 0, false}, // more of it: the time runs from its beginning
		{time.Millisecond, 0, 0, true},
	} {
		if why := look(c.after, c.sent, c.received); (why != "") != c.move {
			t.Errorf("step %d: %q", i, why)
		}
	}
	s.Moves++
	if why := look(time.Hour, 0, 0); why != "" {
		t.Errorf("the new server is blamed: %s", why)
	}
	if why := look(100*time.Millisecond, 0, 0); why == "" {
		t.Error("the new server does not answer either")
	}
}

// A request that had been sent before the first look is one too; a connection on
// which something has come is not known to wait.
func TestDelayBeforeTheFirstLook(t *testing.T) {
	for received, moves := range map[uint64]bool{0: true, 5: false} {
		d := &Delay{Limit: 100 * time.Millisecond}
		d.Look(Sample{Sent: 40, Received: received})
		if why := d.Look(Sample{At: 100 * time.Millisecond, Sent: 40, Received: received}); (why != "") != moves {
			t.Errorf("%d bytes received: %q", received, why)
		}
	}
	d := &Delay{Limit: 100 * time.Millisecond}
	d.Look(Sample{})
	if why := d.Look(Sample{At: time.Hour}); why != "" {
		t.Errorf("nothing was asked: %s", why)
	}
}

func TestLoss(t *testing.T) {
	l := &Loss{For: time.Second}
	s := Sample{}
	for i, c := range []struct {
		change func()
		move   bool
	}{
		{func() { s.Sent, s.Unacked = 100, 100 }, false},
		{func() { s.At += 2 * time.Second }, false}, // not repeated yet
		{func() { s.Retransmitted += 2 }, true},
		{func() { s.Unacked = 50 }, false}, // half of it has arrived
		{func() { s.At += time.Second; s.Retransmitted++ }, false},
		{func() { s.Retransmitted++ }, true},
		{func() { s.Received++ }, false}, // it lives
		{func() { s.At += 2 * time.Second; s.Retransmitted += 2 }, true},
		{func() { s.Moves++ }, false},
	} {
		c.change()
		if why := l.Look(s); (why != "") != c.move {
			t.Errorf("step %d: %q", i, why)
		}
	}
}

func TestPace(t *testing.T) {
	a, b, c := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("10.0.0.3:80")
	all := []netip.AddrPort{a, b, c}
	var p Pace
	if got := p.Order(all, b, 0); !slices.Equal(got, []netip.AddrPort{c, a}) {
		t.Errorf("behind the second: %v", got)
	}
	p.Ended([]netip.AddrPort{c, a}, false, 0)
	if got := p.Order(all, b, time.Second-1); got != nil {
		t.Errorf("too soon: %v", got)
	}
	if got := p.Order(all, b, time.Second); len(got) != 2 {
		t.Errorf("later: %v", got)
	}
	now := time.Second
	for range 20 {
		p.Ended([]netip.AddrPort{c}, false, now)
		now += time.Minute
		if len(p.Order(all, b, now)) == 0 {
			t.Fatal("a pause is longer than a minute")
		}
	}
	if p.Ended([]netip.AddrPort{c}, true, now); len(p.Order(all, c, now+time.Second)) != 2 {
		t.Error("after a success a second is enough")
	}
	if p.Order(nil, c, now+time.Hour) != nil {
		t.Error("there is nowhere to go")
	}
}
