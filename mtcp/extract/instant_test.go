// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/tools/lab"
)

// tally is what became of the instants at which a machine was stopped.
type tally struct {
	instants, held, holed, unsent, lost int
	reasons                             map[string]int
}

func (c *tally) note(f *Found, s *extracttest.Sock) {
	c.instants++
	if f.Held {
		c.held++
	}
	if f.Err != nil {
		c.lost++
		c.reasons[f.Err.Error()]++
		return
	}
	if len(f.Holes) > 0 {
		c.holed++
	}
	if _, whole := f.Whole(s.Wire, f.Dump.Write); !whole {
		c.unsent++
	}
}

// act does something that may happen to a socket, and says beforehand what.
func act(s *extracttest.Sock, rng *rand.Rand, say func(string, ...any)) {
	n := 1 + rng.IntN(4000)
	switch rng.IntN(12) {
	case 0, 1:
		if !s.State.OwnFin() && s.Unsent() < 20000 {
			say("write %d", n)
			s.Write(n)
		}
	case 2, 3:
		say("transmit")
		s.Transmit(1+rng.IntN(3), 1448*(1+rng.IntN(3)))
	case 4, 5:
		if u := s.Unacked(); u > 0 {
			to := s.Una + seqnum.Value(1+rng.IntN(u))
			say("acknowledged to %d", to)
			s.Acknowledged(to)
		}
	case 6, 7:
		if !s.State.PeerFin() && s.State.Movable() && s.Unread() < 20000 {
			fin := rng.IntN(40) == 0
			say("receive %d, fin %v", n%1449, fin)
			s.Receive(n%1449, fin || n%1449 == 0)
		}
	case 8, 9:
		say("take %d", n)
		s.Take(n)
	case 10:
		say("acknowledge")
		s.Acknowledge()
	default:
		if rng.IntN(30) == 0 {
			say("shut")
			s.Shut()
		}
		say("merge")
		s.Merge()
	}
}

// A machine is stopped at every store of what its kernel does with a socket: what
// is read then is what the peer and the application know, or the socket is named
// lost; nothing is silently wrong (the section 2). With nobody inside
// nothing is lost.
func TestStoppedAtEveryStore(t *testing.T) {
	most := lab.Count(6000, 1_000_000)
	for _, kernel := range kernels {
		t.Run(kernel, func(t *testing.T) {
			c := tally{reasons: map[string]int{}}
			for seed := uint64(1); c.instants < most; seed++ {
				stopEverywhere(t, kernel, seed, &c)
				if t.Failed() {
					return
				}
			}
			t.Logf("%d instants, somebody inside at %d: %d with holes in the send queue, %d of them in what was never sent; %d lost",
				c.instants, c.held, c.holed, c.unsent, c.lost)
			for why, n := range c.reasons {
				t.Logf("%6d %s", n, why)
			}
			if c.lost*20 > c.instants {
				t.Errorf("%d of %d instants cost the socket", c.lost, c.instants)
			}
		})
	}
}

func stopEverywhere(t *testing.T, kernel string, seed uint64, c *tally) {
	r := newRig(t, kernel, 32<<20, seed)
	s := r.Established(ends(int(seed)))
	rng := rand.New(rand.NewPCG(seed, 2))
	doing, stores := "", 0
	look := func() {
		f := r.one(t, s)
		c.note(&f, s)
		if err := wrong(&f, s); err != nil && !t.Failed() {
			t.Errorf("seed %d, %s, store %d: %v", seed, doing, stores, err)
		}
		stores++
	}
	r.Stored = look
	for range 120 {
		act(s, rng, func(format string, args ...any) { doing, stores = fmt.Sprintf(format, args...), 0 })
		if t.Failed() {
			return
		}
		r.Stored()
		if f := r.one(t, s); f.Err != nil && s.State.Movable() || f.Held {
			t.Errorf("seed %d, after %s: %v", seed, doing, f.Err)
			return
		}
	}
}
