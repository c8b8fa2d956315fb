// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/mtcp/extract/extracttest"
	"lazystate/mtcp/landing"
	"lazystate/mtcp/steer"
	"lazystate/mtcp/tcprepair"
)

// cut is a salvage of a machine whose CPUs hang, cut off at its port alone.
type cut struct {
	*world
	client *adder
	sock   *extracttest.Sock // its session's
	asked  func()            // called when clients are asked for the first time

	mu   sync.Mutex
	done []string // of what is to come in an order, each once where it is repeated
}

func newCut(t *testing.T) *cut {
	t.Helper()
	c := &cut{world: newWorld(t, "ipv4", adding), asked: func() {}}
	c.client = c.dial()
	c.client.ask(30)
	c.client.hear(10)
	return c
}

func (c *cut) dies(broken func(*extracttest.Sock)) {
	c.t.Helper()
	c.die(func(_ int, _ *tcprepair.Dump, s *extracttest.Sock) {
		if c.sock = s; broken != nil {
			broken(s)
		}
	})
	c.machine.Hang(true)
	memory := c.machine.Memory()
	c.carrier = cutting{memory}
	c.cfg.Fence = func(context.Context) error {
		err := c.cfg.Target.Fence(c.t.Context(), backdoor.FenceOptions{Slot: slot, Key: key, Timeout: time.Millisecond})
		c.note("fenced")
		return err
	}
	lock := c.machine.Area(uapi.KindLockAck)
	memory.Before(func(_ int, op *backdoor.Op) error {
		switch {
		case op.Kind != backdoor.OpRead:
		case op.Addr == lock:
			c.note("looked")
		case op.Addr == c.grave.Boxes[0][0] && len(op.Buf) == 4096:
			c.note("read")
		}
		return nil
	})
	c.cfg.Place = &askingPlace{Place: c.cfg.Place, c: c}
	c.cfg.Gate = &releasingGate{Gate: c.cfg.Gate, c: c}
	c.cfg.Entrust = func(all []*landing.Session) []func() {
		c.note("entrusted")
		return make([]func(), len(all))
	}
}

func (c *cut) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if what == "fenced" { // it has looked, too
		c.done = nil
	}
	if n := len(c.done); n == 0 || c.done[n-1] != what {
		c.done = append(c.done, what)
	}
}

// wakes has the CPUs run from when clients are asked on, and change something before they
// stop at the fence.
func (c *cut) wakes(change func()) {
	c.asked = func() {
		change()
		c.machine.Hang(false)
	}
}

type askingPlace struct {
	Place
	c    *cut
	once sync.Once
}

func (p *askingPlace) Ask(dumps []*tcprepair.Dump, how Asking, answered func(*tcprepair.Dump, error)) error {
	p.c.note("asked")
	p.once.Do(p.c.asked)
	return p.Place.Ask(dumps, how, answered)
}

type releasingGate struct {
	Gate
	c *cut
}

func (g *releasingGate) Release(f steer.Flow) error {
	g.c.note("released")
	return g.Gate.Release(f)
}

// Clients are asked while it is not yet known whether memory has changed while it was
// read; nobody is given anything before. If it has, all is read and asked again.
func TestAskedBeforeItIsBelieved(t *testing.T) {
	for wakes, want := range map[bool][]string{
		false: {"fenced", "read", "asked", "looked", "entrusted", "released"},
		true:  {"fenced", "read", "asked", "looked", "read", "asked", "entrusted", "released"},
	} {
		t.Run(names("hangs", "wakes", wakes), func(t *testing.T) {
			c := newCut(t)
			c.dies(nil)
			if wakes {
				c.wakes(func() {})
			}
			if r := c.salvage(); r.Saved() != 1 || c.machine.Fenced() != wakes {
				t.Fatalf("%+v", r.Sessions)
			}
			if d := cmp.Diff(want, c.done); d != "" {
				t.Error(d)
			}
			c.client.rest()
			c.client.ask(3)
			c.client.rest()
		})
	}
}

// What CPUs have changed before they stopped counts, whatever was read before: of a session
// that was well and is not, of one that was not and is, of one that was on trial and has
// got over it.
func TestSecondReadingCounts(t *testing.T) {
	filtered := func(s *extracttest.Sock) { s.Set("sock.sk_filter", 4096) }
	for name, test := range map[string]struct {
		first func(*extracttest.Sock)
		trial uint32
		then  func(*cut)
		lost  bool
	}{
		"is damaged":   {then: func(c *cut) { filtered(c.sock) }, lost: true},
		"was damaged":  {first: filtered, then: func(c *cut) { c.sock.Set("sock.sk_filter", 0) }},
		"was on trial": {trial: uapi.CboxTrial, then: func(c *cut) { c.on([]*adder{c.client}, []uint32{0}) }},
		"is on trial":  {then: func(c *cut) { c.on([]*adder{c.client}, []uint32{uapi.CboxTrial}) }, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCut(t)
			ledger := newNoted()
			c.cfg.Ledger = ledger
			c.dies(test.first)
			c.on([]*adder{c.client}, []uint32{test.trial})
			c.wakes(func() { test.then(c) })
			r := c.salvage()
			if live := len(c.s2.keep.Sessions()); (r.Saved() == 0) != test.lost || (live == 0) != test.lost {
				t.Fatalf("%d live, %+v", live, r.Sessions)
			}
			if n := asides(r); n != len(ledger.asides) {
				t.Errorf("%d set aside, noted are %q", n, ledger.asides)
			}
			if !test.lost {
				c.client.rest()
				c.client.ask(3)
				c.client.rest()
			} else if _, err := io.Copy(io.Discard, c.client); !errors.Is(err, syscall.ECONNRESET) { // behind what it had
				t.Errorf("the client of a session that is lost: %v", err)
			}
		})
	}
}

// spares is a salvage of a machine whose fence leaves a CPU running, over which it is read.
func spares(t *testing.T) *cut {
	c := newCut(t)
	c.dies(nil)
	c.machine.Hang(false)
	c.machine.Stir(false)
	c.cfg.Fence = func(ctx context.Context) error { return c.cfg.Target.Fence(ctx, c.world.fence) }
	return c
}

// A process that runs on the spared CPU while memory is read changes it: what was read
// counts for nothing, and it is read again.
func TestStirsWhileItIsRead(t *testing.T) {
	for _, stirs := range []bool{false, true} {
		t.Run(names("still", "stirs", stirs), func(t *testing.T) {
			c := spares(t)
			c.asked = func() {
				c.sock.Set("sock.sk_filter", 4096) // no session of ours
				if stirs {
					c.machine.Stir(true)
					time.AfterFunc(10*time.Millisecond, func() { c.machine.Stir(false) })
				}
			}
			if r := c.salvage(); (r.Saved() == 0) != stirs {
				t.Fatalf("%+v", r.Sessions)
			}
		})
	}
}

// Where it never ends nothing is taken over.
func TestStirsForEver(t *testing.T) {
	c := spares(t)
	c.asked = func() { c.machine.Stir(true) }
	var err error
	c.cfg.Target, err = backdoor.Open(t.Context(), c.carrier)
	c.must(err)
	c.s2.Do(func() error { _, err = Run(t.Context(), c.cfg); return nil })
	if live := c.s2.keep.Sessions(); !errors.Is(err, errStirs) || len(live) != 0 {
		t.Errorf("%d live, %v", len(live), err)
	}
}

// A socket that the spared CPU's timers have changed while it was read is read again, and
// lost only if it makes no more sense then.
func TestChangesWhileItIsRead(t *testing.T) {
	members, _ := extracttest.Manifest("6.12")
	for _, settles := range []bool{false, true} {
		t.Run(names("changes", "settles", settles), func(t *testing.T) {
			c := spares(t)
			at := c.sock.Addr + uint64(members["tcp_sock.write_seq"].Off)
			was, reads := c.machine.Peek(at, 1), 0
			c.machine.Poke(at, []byte{was[0] ^ 1})
			c.carrier.(cutting).Before(func(_ int, op *backdoor.Op) error {
				if op.Kind == backdoor.OpRead && op.Addr <= at && at-op.Addr < uint64(len(op.Buf)) {
					if reads++; reads == 2 && settles {
						c.machine.Poke(at, was)
					}
				}
				return nil
			})
			r := c.salvage()
			if want := map[bool]int{false: readings, true: 2}[settles]; reads != want || (r.Saved() == 1) != settles {
				t.Fatalf("read %d times: %+v", reads, r.Sessions)
			}
			if settles {
				c.client.rest()
				c.client.ask(3)
				c.client.rest()
			}
		})
	}
}

// The CPU that a fence spares does the work of those that hang, too: it may answer later
// than a carrier waits.
func TestSpareIsBusy(t *testing.T) {
	c := spares(t)
	fence, asked := c.cfg.Fence, -1
	c.cfg.Fence = func(ctx context.Context) error { defer func() { asked = 0 }(); return fence(ctx) }
	busy := map[int]bool{1: true, 4: true, 6: true, 9: true} // looks, the directory, sockets
	c.carrier.(cutting).Before(func(int, *backdoor.Op) error {
		if asked < 0 {
			return nil
		}
		if asked++; busy[asked] {
			return backdoor.ErrUnanswered
		}
		return nil
	})
	if r := c.salvage(); r.Saved() != 1 || asked <= 9 {
		t.Fatalf("asked %d times: %+v", asked, r.Sessions)
	}
	c.client.rest()
	c.client.ask(3)
	c.client.rest()
}
