// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"testing"
	"time"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/extract"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/tcprepair"
)

// A hole in the send queue costs a session only if neither the client has the
// bytes nor a replay writes them again, which it does from the last snapshot on.
func TestHoles(t *testing.T) {
	torn := errors.New("torn")
	const base = 0xffffff00 // number of byte 0 of the stream
	for name, c := range map[string]struct {
		una, nxt, hole, to, lsw int // in bytes of the stream; 500 are written
		state                   mtcp.State
		end                     int // of the send queue then; 0: lost
	}{
		"none":                            {una: 100, nxt: 300, lsw: 100, end: 500},
		"acknowledged or asked":           {una: 250, nxt: 250, hole: 200, to: 250, lsw: 400, end: 500},
		"unsent, behind the snapshot":     {una: 100, nxt: 300, hole: 350, to: 400, lsw: 350, end: 350},
		"unsent, before the snapshot":     {una: 100, nxt: 300, hole: 350, to: 400, lsw: 351},
		"perhaps sent":                    {una: 100, nxt: 300, hole: 250, to: 260, lsw: 100},
		"asked, and behind the snapshot":  {una: 200, nxt: 200, hole: 250, to: 260, lsw: 100, end: 250},
		"the client has the half of it":   {una: 255, nxt: 255, hole: 250, to: 260, lsw: 100, end: 255},
		"behind it comes a FIN":           {una: 200, nxt: 200, hole: 250, to: 260, lsw: 100, state: mtcp.FinWait1},
		"to the end":                      {una: 100, nxt: 300, hole: 400, to: 500, lsw: 400, end: 400},
		"sent, but the snapshot is later": {una: 100, nxt: 500, hole: 400, to: 500, lsw: 500},
	} {
		seq := func(off int) seqnum.Value { return base + seqnum.Value(off) }
		d := &tcprepair.Dump{Out: make([]byte, 500-c.una)}
		d.State, d.Una, d.Nxt, d.Write = mtcp.Established, seq(c.una), seq(c.nxt), seq(500)
		if c.state != 0 {
			d.State = c.state
			d.Write++
		}
		f := &extract.Found{Dump: d}
		if c.to > 0 {
			f.Holes = []extract.Hole{{From: seq(c.hole), To: seq(c.to), Why: torn}}
		}
		im := &cbox.Image{Snapshots: []*cbox.Snapshot{{}}}
		im.Snapshots[0].LSW = uint64(c.lsw)
		s := &session{found: f, facts: landing.Facts{Dump: d, Image: im, Written: 500}}
		err := s.whole()
		switch {
		case c.end == 0 && !errors.Is(err, torn):
			t.Errorf("%s: not lost: %v", name, err)
		case c.end > 0 && (err != nil || d.Write != seq(c.end) || len(d.Out) != c.end-c.una):
			t.Errorf("%s: %v, %d bytes to %d", name, err, len(d.Out), d.Write-base)
		}
	}
}

// The clock of a session whose client has answered goes a minute ahead; of one that
// waits for an acknowledgement it does not, which would be a minute's round trip.
func TestClock(t *testing.T) {
	for sent, want := range map[seqnum.Value]uint32{0: 1000 + 60_000, 1: 1000} {
		d := &tcprepair.Dump{}
		d.Una, d.Nxt, d.Negotiated.Timestamp = 5, 5+sent, 1000
		if (&session{found: &extract.Found{Dump: d}}).clock(); d.Negotiated.Timestamp != want {
			t.Errorf("%d sent: %d, want %d", sent, d.Negotiated.Timestamp, want)
		}
	}
}

// For how long a machine has been silent is in no clock, and need not be: the client goes
// by what it has heard (RFC 7323, section 5), also where what was sent since counts as sent.
func TestLongSilence(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	w.cfg.NotAsking = true
	a := w.dial()
	a.ask(3)
	a.rest()
	a.deaf(true)
	a.ask(50)
	time.Sleep(100 * time.Millisecond)
	w.die(func(_ int, d *tcprepair.Dump, _ *extracttest.Sock) {
		if !d.Negotiated.Stamped || d.Nxt == d.Una {
			t.Errorf("stamped %v, %d sent and not acknowledged", d.Negotiated.Stamped, d.Una.Size(d.Nxt))
		}
	})
	time.Sleep(3 * time.Second)
	a.deaf(false)
	if r := w.salvage(); r.Saved() != 1 {
		t.Fatalf("%+v", r.Sessions)
	}
	a.rest()
	a.ask(5)
	a.rest()
}
