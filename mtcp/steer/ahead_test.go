// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"testing"
	"time"

	"lazystate/mtcp/wire"
)

// S2 has not sent yet what S1's last segments brought: the client's
// acknowledgements wait for it. Told more, S2 would take them for damage and both
// would wait for ever (§3.6.5).
func TestNoAcknowledgementAheadOfS2(t *testing.T) {
	r := newRigged(t, Config{})
	n := r.begin(t, hang)
	s2 := plant(t, r.s2, half{r.to.Remote, r.to.Local, 2000, 1000}) // nothing sent to this client
	const late = 100_000
	if _, err := r.s.Write(make([]byte, late)); err != nil {
		t.Fatal(err)
	}
	if !reads(t, r.c, make([]byte, late)) {
		t.FailNow()
	}
	r.client.Do(func() error { _, err := r.a.Switch(r.f, Shift{}); return err })
	// As if the query had come before S1's last segments.
	b, err := r.a.lookup(r.f)
	if err != nil {
		t.Fatal(err)
	}
	b.Sent = uint32(n.RcvNxt)
	if err := r.a.put(r.f, b); err != nil {
		t.Fatal(err)
	}
	if _, err := s2.Write(make([]byte, late+1000)); err != nil {
		t.Fatal(err)
	}
	if !reads(t, r.c, make([]byte, 1000)) {
		st, err := r.a.Stats()
		t.Fatalf("%+v, %v", st, err)
	}
	exchange(t, r.c, s2, 1<<20)
	if st, err := r.a.Stats(); err != nil || st.AcksClampedOut == 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// What S1 sent was out of order when the session left: S2's first bytes make it whole, and
// the client has more than S2 has sent. The next server, and S2 if that one refuses, are
// told no more than that: whoever is told more takes it for damage, or drops all that the
// client says.
func TestNothingIsToldAheadOfWhoeverHasIt(t *testing.T) {
	const hole, early, late = 2, 1000, 50_000
	r := newRigged(t, Config{})
	out := sender(t, r.s1)
	r.s1.Do(func() error {
		return out.Send(wire.Segment{Src: r.f.Remote, Dst: r.f.Local, Seq: 2000 + hole, Ack: 1000, Flags: wire.ACK, Window: 65535, Payload: make([]byte, early)})
	})
	for end := time.Now().Add(hang); infoOf(t, r.c).Rcv_ooopack == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the client has nothing out of order")
		}
	}
	s2 := plant(t, r.s2, half{r.to.Remote, r.to.Local, 2000, 1000})
	r.begin(t, hang)
	r.client.Do(func() error {
		n, err := r.a.Switch(r.f, Shift{})
		if n.RcvNxt != 2000 {
			t.Errorf("the client has up to %d", n.RcvNxt)
		}
		return err
	})
	if _, err := s2.Write(make([]byte, hole)); err != nil {
		t.Fatal(err)
	}
	if !reads(t, r.c, make([]byte, hole+early)) {
		t.FailNow()
	}
	third := Flow{plus(r.to.Local, 1), r.f.Remote}
	r.client.Do(func() error {
		n, err := r.a.Begin(r.f, Try{Server: third.Remote, Local: third.Local, For: hang})
		if err != nil || n.RcvNxt != 2000+hole {
			t.Errorf("asked for: up to %d, %v", n.RcvNxt, err)
		}
		if n, err = r.a.Switch(r.f, Shift{}); err != nil || n.RcvNxt != 2000+hole {
			t.Errorf("left: up to %d, %v", n.RcvNxt, err)
		}
		if n, err = r.a.Known(r.f); err != nil || n.RcvNxt != 2000+hole {
			t.Errorf("known: up to %d, %v", n.RcvNxt, err)
		}
		return r.a.Return(r.f, r.to)
	})
	// What it says to S2 carries an acknowledgement that S2 can believe, or S2 drops it.
	if _, err := r.c.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 2); !reads(t, s2, b) || string(b) != "up" {
		t.Fatalf("S2 got %q", b)
	}
	if _, err := s2.Write(make([]byte, late)); err != nil { // all but the beginning is new
		t.Fatal(err)
	}
	if !reads(t, r.c, make([]byte, late-early)) {
		t.FailNow()
	}
	exchange(t, r.c, s2, 1<<20)
}
