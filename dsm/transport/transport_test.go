// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lazystate/dsm"
	"lazystate/dsm/diff"
	"lazystate/dsm/logs"
	"lazystate/dsm/vtime"
	cable "lazystate/tools/lab/link"
)

// What is sent comes once and in order, from everybody to everybody, while
// connections break.
func TestInOrderOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		const n = 400
		ends := r.all()
		var sending sync.WaitGroup
		for i, e := range ends {
			sending.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(i), 1))
				for seq := range uint64(n) {
					for _, l := range e.peers() {
						if seq%7 == 0 {
							e.Send(e.page(l.peer, seq+1))
						} else {
							e.Send(e.message(l.peer, 1, seq+1))
						}
						if rng.IntN(60) == 0 {
							e.cut(l.peer)
						}
					}
					if i > 0 { // from two threads at once
						go e.Flush()
						e.Flush()
					}
				}
			})
		}
		sending.Wait()
		for _, e := range ends {
			for _, l := range e.peers() {
				e.until("message", e.inOrder(l.peer, n))
			}
		}
		for _, e := range ends {
			for _, l := range e.peers() {
				e.until("end of it", func() bool { return len(e.got[l.peer]) == n })
			}
			if errs := e.errors(&e.nonsense); len(errs) > 0 {
				t.Errorf("nonsense: %v", errs)
			}
		}
	}, "hosts", "hosts, roce")
}

// Who is through says so and waits until all was heard.
func TestCloseDrains(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		const n = 300
		ends := r.all()
		for seq := range uint64(n) {
			ends[0].Send(ends[0].page(1, seq+1))
		}
		if err := ends[0].Close(); err != nil {
			t.Fatal(err)
		}
		ends[1].until("message", ends[1].inOrder(0, n))
		for _, e := range ends[1:] {
			e.until("word that it has left", func() bool { return len(e.lost) == 1 })
			if errs := e.errors(&e.lost); !errors.Is(errs[0], ErrLeft) {
				t.Errorf("%v", errs)
			}
		}
		ends[1].Send(ends[1].message(0, 1, 1)) // to nobody
	})
}

// What was sent before an incarnation began does not reach it; what is for it does,
// wherever it lives now.
func TestRestart(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ends := r.all()
		ends[1].kill()
		for _, e := range []*end{ends[0], ends[2]} {
			e.until("loss", func() bool { return len(e.lost) > 0 })
			for seq := range uint64(5) {
				e.Send(e.message(1, 1, seq+1))
			}
		}
		again := r.start(1, 2) // at another address
		again.ready()
		for _, e := range []*end{ends[0], ends[2]} {
			e.until("new incarnation", func() bool { return e.up[1] > 1 })
			e.Send(e.message(1, 1, 6))
			e.Send(e.message(1, 2, 1))
			again.until("message", func() bool { return len(again.got[e.cfg.Cluster.Self]) == 1 })
			if m := again.heard(e.cfg.Cluster.Self)[0]; m.ToInc != 2 || m.Seq != 1 {
				t.Errorf("it hears %+v", m)
			}
			m := again.message(e.cfg.Cluster.Self, 0, 1)
			m.Body = dsm.Recover{Ckp: dsm.Stamp{T: vtime.New(3)}}
			again.Send(m)
			e.until("recover", func() bool { return len(e.got[1]) == 1 })
		}
	})
}

// A word to whoever is there is for the incarnation that is connected then, not for
// one after it.
func TestRecoverReachesOneIncarnation(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		a, b := r.start(0, 2), r.start(1, 1)
		a.ready()
		b.kill()
		a.until("loss", func() bool { return len(a.lost) > 0 })
		a.Send(a.message(1, 0, 1))
		c := r.start(1, 2)
		c.ready()
		a.Send(a.message(1, 2, 1))
		c.until("message", func() bool { return len(c.got[0]) > 0 })
		if m := c.heard(0)[0]; m.ToInc != 2 {
			t.Errorf("it hears %+v", m)
		}
	})
}

// An incarnation that lives on when there is a later one learns that it must end,
// whoever of the two calls.
func TestSuperseded(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		for _, zombie := range []dsm.NodeID{0, 1} {
			other := r.start(1-zombie, 1)
			old := r.start(zombie, 1)
			old.ready()
			next := r.start(zombie, 2)
			next.ready()
			old.until("word that it is superseded", func() bool {
				if old.learned(ErrSuperseded) {
					return true
				}
				old.cut(1 - zombie)
				return false
			})
			other.until("new incarnation", func() bool { return other.up[zombie] == 2 })
			if inc := other.Peers()[0].Incarnation; inc != 2 {
				t.Errorf("it has incarnation %d", inc)
			}
			for _, e := range []*end{other, old, next} {
				e.kill()
			}
		}
	})
}

// A node that was started again where its checkpoints are not takes itself for its first
// incarnation. It learns that it has lived before, whoever of the two calls, and nobody
// hears it.
func TestForgotten(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		for _, lost := range []dsm.NodeID{0, 1} {
			other := r.start(1-lost, 1)
			old := r.start(lost, 1)
			old.ready()
			for seq := range uint64(3) {
				old.Send(old.message(1-lost, 1, seq+1))
			}
			other.until("message", func() bool { return len(other.got[lost]) == 3 })
			old.kill()
			again := r.start(lost, 1)
			for seq := range uint64(5) { // the last would be the next
				again.Send(again.message(1-lost, 1, seq+1))
			}
			again.until("word that it has lived before", func() bool { return again.learned(ErrForgotten) })
			if got := other.heard(lost); len(got) != 3 {
				t.Errorf("%d messages of %v are heard", len(got), lost)
			}
			for _, e := range []*end{other, again} {
				e.kill()
			}
		}
	})
}

// Hosts that are cut off from each other for a while are lost, and meet again: what
// was sent meanwhile comes then.
func TestPartition(t *testing.T) {
	for _, carrier := range []string{"hosts", "hosts, roce"} {
		t.Run(carrier, func(t *testing.T) { partition(t, newRig(t, carrier)) })
	}
}

func partition(t *testing.T, r *rig) {
	r.cfg.Nodes = 2
	r.silence = 2 * time.Second
	ends := []*end{r.start(0, 1), r.start(1, 1)}
	for _, e := range ends {
		e.ready()
	}
	for round := range uint64(2) {
		before := []int{len(ends[0].errors(&ends[0].lost)), len(ends[1].errors(&ends[1].lost))}
		r.plug(1, false)
		for i, e := range ends {
			e.Send(e.page(dsm.NodeID(1-i), round+1))
		}
		for i, e := range ends {
			e.until("loss", func() bool { return len(e.lost) > before[i] })
		}
		r.plug(1, true)
		for i, e := range ends {
			e.until("message", e.inOrder(dsm.NodeID(1-i), int(round+1)))
		}
	}
}

// What links over a bad network carry comes once and in order all the same: one that
// loses, doubles and delays frames, and one that is slow, which is no silence.
func TestBadNetwork(t *testing.T) {
	for _, carrier := range []string{"hosts", "hosts, roce"} {
		for what, faults := range map[string]cable.Faults{
			"lossy": {Loss: 0.03, Duplicate: 0.05, Reorder: 0.1}, "slow": {Delay: 5 * time.Millisecond, Rate: 4 << 20},
		} {
			t.Run(carrier+", "+what, func(t *testing.T) { badNetwork(t, newRig(t, carrier), faults) })
		}
	}
}

func badNetwork(t *testing.T, r *rig, faults cable.Faults) {
	const n, far = 60, "br1"
	r.cfg.Nodes = 2
	r.hosts.Apart(r.host(1).Name, far)
	wire, err := cable.Open(cable.Options{In: r.hosts.Wire.Try, Near: "br0", Far: far, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wire.Close() })
	if err := wire.Set(faults); err != nil {
		t.Fatal(err)
	}
	ends := []*end{r.start(0, 1), r.start(1, 1)}
	for _, e := range ends {
		e.ready()
	}
	for seq := range uint64(n) {
		for i, e := range ends {
			e.Send(e.page(dsm.NodeID(1-i), seq+1))
		}
	}
	for i, e := range ends {
		e.until("message", e.inOrder(dsm.NodeID(1-i), n))
		if got := len(e.heard(dsm.NodeID(1 - i))); got != n {
			t.Errorf("%d messages", got)
		}
	}
	s := wire.Stats()
	t.Logf("%+v", s)
	if faults.Loss > 0 && (s.Lost == 0 || s.Copies == 0) {
		t.Error("the network was good")
	}
}

// plug puts a host's cable in, or pulls it out.
func (r *rig) plug(node dsm.NodeID, in bool) {
	r.t.Helper()
	r.hosts.Wire.Do(func() error {
		l, err := netlink.LinkByName(r.host(node).Name)
		switch {
		case err != nil:
			return err
		case in:
			return netlink.LinkSetUp(l)
		}
		return netlink.LinkSetDown(l)
	})
}

// Nodes of other clusters, or without the key, are told no and why.
func TestOthersAreRefused(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		for want, change := range map[string]func(*Config){
			"nodes":        func(c *Config) { c.Cluster.Nodes = 3 },
			"bytes a page": func(c *Config) { c.Cluster.PageSize = 64 },
			"pages":        func(c *Config) { c.Cluster.Pages = 9 },
			"locks":        func(c *Config) { c.Cluster.Locks = 9 },
			"conditions":   func(c *Config) { c.Cluster.Conds = 9 },
			"other homes":  func(c *Config) { c.Cluster.Home = func(dsm.Page) (dsm.NodeID, bool) { return 1, true } },
			"other logs":   func(c *Config) { c.Cluster.PerPage = true },
			"key":          func(c *Config) { c.Key[3]++ },
		} {
			a := r.start(0, 1)
			b := r.start(1, 1, func(_ *end, c *Config) { change(c) })
			b.until("word", func() bool { return len(b.nonsense) > 0 })
			if errs := b.errors(&b.nonsense); !strings.Contains(errs[0].Error(), want) {
				t.Errorf("%s: %v", want, errs)
			}
			if want != "key" { // there the dialer sees it first
				a.until("word", func() bool { return len(a.nonsense) > 0 })
				if errs := a.errors(&a.nonsense); !strings.Contains(errs[0].Error(), want) {
					t.Errorf("%s: %v", want, errs)
				}
			}
			a.kill()
			b.kill()
			if len(a.up)+len(b.up) > 0 {
				t.Errorf("%s: they are connected", want)
			}
		}
	})
}

// Send does not wait for a peer that does not read. One that never does is lost in
// the end, until it begins anew.
func TestSlowPeer(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		r.most = 8 << 20
		stuck := make(chan struct{})
		a := r.start(0, 1)
		b := r.start(1, 1, func(e *end, _ *Config) { e.deliver = func(*dsm.Message) { <-stuck } })
		a.ready()
		for seq := range uint64(4000) { // twice what may be kept
			a.Send(a.page(1, seq+1))
		}
		a.until("loss", func() bool { return len(a.lost) > 0 })
		if errs := a.errors(&a.lost); !errors.Is(errs[0], ErrSlow) {
			t.Errorf("%v", errs)
		}
		if s := a.Peers()[0]; s.KeptBytes > 0 || s.Up {
			t.Errorf("%+v", s)
		}
		close(stuck)
		b.kill()
		r.start(1, 2).ready()
	})
}

// A message may be long: a recovery's has all logs. Others follow it.
func TestLongMessage(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		a, b := r.start(0, 1), r.start(1, 1)
		a.ready()
		m := a.message(1, 1, 1)
		body := dsm.PageDiffs{Page: 1}
		for i := range uint64(3000) {
			body.Diffs = append(body.Diffs, logs.Diff{Page: 1, Interval: i, T: vtime.Time{i, 0}, Diff: diff.Diff{{Data: make([]byte, 4096)}}})
		}
		m.Body = body
		a.Send(m)
		a.Send(a.message(1, 1, 2))
		b.until("message", b.inOrder(0, 2))
		if got, ok := b.heard(0)[0].Body.(dsm.PageDiffs); !ok || len(got.Diffs) != 3000 {
			t.Errorf("it has %d diffs", len(got.Diffs))
		}
	})
}

// What is too long to be sent is told of, for nobody will ever hear it.
func TestTooLong(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.cfg.Nodes = 2
		a := r.start(0, 1, func(_ *end, c *Config) { c.longest = 1000 })
		b := r.start(1, 1)
		a.ready()
		a.Send(a.page(1, 1))
		a.until("word of it", func() bool { return len(a.nonsense) > 0 })
		if errs := a.errors(&a.nonsense); !errors.Is(errs[0], ErrTooLong) || !strings.Contains(errs[0].Error(), "dsm.PageRep of") {
			t.Errorf("%v", errs)
		}
		a.Send(a.message(1, 1, 1)) // a shorter one goes
		b.until("message", b.inOrder(0, 1))
	})
}

// A silence that a healthy link could have by chance is refused.
func TestSilenceIsPlanned(t *testing.T) {
	r := newRig(t, "tcp")
	cfg := r.config(0, 1)
	cfg.Silence = 100 * time.Millisecond
	if _, err := New(cfg, &end{}); err == nil || !strings.Contains(err.Error(), "1.5 times") {
		t.Errorf("%v", err)
	}
}
