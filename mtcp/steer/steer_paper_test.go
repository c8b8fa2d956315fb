// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bytes"
	"testing"

	"lazystate/mtcp/wire"
)

// §2.5.2: in MIGRATING the client goes on to receive from S1, to acknowledge and
// to deliver; what flows upstream is blocked.
func TestPaperMigratingReceives(t *testing.T) {
	r := newRigged(t, Config{})
	r.begin(t, hang)
	before := infoOf(t, r.s)
	if _, err := r.c.Write([]byte("upstream")); err != nil {
		t.Fatal(err)
	}
	const much = 1 << 20 // more than S1 may send without being acknowledged
	go r.s.Write(make([]byte, much))
	if !reads(t, r.c, make([]byte, much)) {
		t.FailNow()
	}
	silent(t, r.s)
	if after := infoOf(t, r.s); after.Segs_in == before.Segs_in || after.Data_segs_in != before.Data_segs_in {
		t.Errorf("S1 got %d segments, %d with data", after.Segs_in-before.Segs_in, after.Data_segs_in-before.Data_segs_in)
	}
}

// §2.5.2: in MIGRATING the client ignores acknowledgements. S1 may have given its
// state away before it sent them, so what they would have the client forget may
// be nowhere. Selective ones are of the same kind.
func TestPaperMigratingIgnoresAcknowledgements(t *testing.T) {
	k := newKernel(t, bpfProgSteerIn, bpfProgSteerOut)
	w := paperWorld()
	w.session.State, w.session.Next, w.session.Flags, w.session.Frozen = uint32(Migrating), 4, clampIn, 1000
	k.install(t, w)
	s := wire.Segment{Src: w.cur.Remote, Dst: w.cur.Local, Seq: 7, Ack: 1500, Flags: wire.ACK, Payload: []byte("from S1")}
	s.Options = []byte{1, 1, 5, 10, 0, 0, 7, 0, 0, 0, 8, 0}
	verdict, out := k.run(t, bpfProgSteerIn, packet(t, s))
	s.Src, s.Dst, s.Ack, s.Options = w.app.Remote, w.app.Local, 1000, bytes.Repeat([]byte{1}, 12)
	if want := packet(t, s); verdict != verdictNext || !bytes.Equal(out, want) {
		t.Errorf("%d\n%x, want\n%x", verdict, out, want)
	}
	s.Src, s.Dst, s.Ack = w.cur.Remote, w.cur.Local, 900 // what was acknowledged before is no news
	_, out = k.run(t, bpfProgSteerIn, packet(t, s))
	if got, err := wire.ParseSegment(out); err != nil || got.Ack != 900 {
		t.Errorf("%+v, %v", got, err)
	}
}

// §2.5.2: if the move fails, the connection goes on with S1, or tries another
// server.
func TestPaperFallsBackOrTriesAnother(t *testing.T) {
	r := newRigged(t, Config{})
	r.begin(t, hang)
	if err := r.a.FallBack(r.f); err != nil {
		t.Fatal(err)
	}
	exchange(t, r.c, r.s, 1000)
	third := plant(t, r.s2, half{r.to.Remote, r.to.Local, 3000, 2000})
	r.begin(t, hang)
	r.client.Do(func() error { _, err := r.a.Switch(r.f, Shift{}); return err })
	if _, err := third.Write([]byte("!")); err != nil || !reads(t, r.c, make([]byte, 1)) {
		t.Fatal(err)
	}
	exchange(t, r.c, third, 1000)
}

// §2.5.2: BLACKHOLE: what comes of the old connection is ignored, and nothing at
// all goes out on it.
func TestPaperBlackholeIsSilent(t *testing.T) {
	r := newRigged(t, Config{})
	s2 := plant(t, r.s2, half{r.to.Remote, r.to.Local, 2000, 1000})
	r.begin(t, hang)
	r.client.Do(func() error { _, err := r.a.Switch(r.f, Shift{}); return err })
	if _, err := s2.Write([]byte("!")); err != nil || !reads(t, r.c, make([]byte, 1)) {
		t.Fatal(err)
	}
	before := infoOf(t, r.s)
	if _, err := r.s.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	r.s.CloseWrite()
	exchange(t, r.c, s2, 1<<20)
	silent(t, r.c)
	if after := infoOf(t, r.s); after.Segs_in != before.Segs_in {
		t.Errorf("S1 got %d segments", after.Segs_in-before.Segs_in)
	}
	if st, err := r.a.Stats(); err != nil || st.Blackholed == 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// §2.5.2: many times, and back to where it was.
func TestPaperManyTimes(t *testing.T) {
	r := newRigged(t, Config{})
	up, down := uint32(1000), uint32(2000)
	const moves = flowsKept + 7
	for i := range moves {
		site, to := r.s2, r.to
		if i%2 == 1 {
			site, to = r.s1, Flow{r.to.Local, r.f.Remote} // S1 again, from another port
		}
		to.Local = plus(to.Local, i)
		s := plant(t, site, half{to.Remote, to.Local, seq(down), seq(up)})
		r.client.Do(func() error {
			_, err := r.a.Begin(r.f, Try{Server: to.Remote, Local: to.Local, For: hang})
			if err == nil {
				_, err = r.a.Switch(r.f, Shift{})
			}
			return err
		})
		if _, err := s.Write([]byte("!")); err != nil || !reads(t, r.c, make([]byte, 1)) {
			t.Fatal(err)
		}
		exchange(t, r.c, s, 5000)
		up, down = up+5000, down+5001
	}
	if got, err := r.a.Session(r.f); err != nil || got.Moves != moves || got.State != Moved {
		t.Errorf("%+v, %v", got, err)
	}
	var n int
	var f bpfFlow
	var w bpfWire
	for it := r.a.wires.Iterate(); it.Next(&f, &w); n++ {
		if w.Hop == 0 {
			t.Errorf("%s is nobody's", flowOf(f))
		}
	}
	if n != 1+flowsKept+2 {
		t.Errorf("%d flows are remembered", n)
	}
	if err := r.a.Forget(r.f); err != nil || r.a.wires.Iterate().Next(&f, &w) {
		t.Errorf("%s is left, %v", flowOf(f), err)
	}
}
