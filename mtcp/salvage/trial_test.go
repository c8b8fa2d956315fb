// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/mtcp/cbox"
	"lazystate/mtcp/keeper"
	"lazystate/mtcp/steer"
)

// asides are the sessions that are set aside.
func asides(r *Report) (n int) {
	for i := range r.Sessions {
		var aside *SetAsideError
		if errors.As(r.Sessions[i].Err, &aside) {
			n++
		}
	}
	return n
}

// noted is what this process knows of sessions.
type noted struct {
	deaths map[cbox.ID]int
	asides map[cbox.ID]string
}

func newNoted() *noted { return &noted{map[cbox.ID]int{}, map[cbox.ID]string{}} }

func (n *noted) Deaths(id cbox.ID) int { return n.deaths[id] }
func (*noted) Begin(cbox.ID) error     { return nil }
func (*noted) End(cbox.ID) error       { return nil }

func (n *noted) Aside(id cbox.ID) string { return n.asides[id] }

func (n *noted) SetAside(id cbox.ID, why string) error {
	n.asides[id] = why
	return nil
}

// What was on trial when its machine died: alone, it is set aside; of several each is
// tried once more, and then no more (§3.6.3). Their clients get a reset; all others go
// on, those that are tried again at last.
func TestOnTrial(t *testing.T) {
	const never, once, again = 0, uapi.CboxTrial, uapi.CboxTrialAgain
	for name, c := range map[string]struct {
		trials []uint32
		deaths []int // of this process
		aside  []bool
		again  []bool
	}{
		"none":               {trials: []uint32{never, never}},
		"alone":              {trials: []uint32{never, once}, aside: []bool{false, true}},
		"two":                {trials: []uint32{once, never, once}, again: []bool{true, false, true}},
		"again":              {trials: []uint32{again, never}, aside: []bool{true, false}},
		"one again":          {trials: []uint32{again, once}, aside: []bool{true, false}, again: []bool{false, true}},
		"some other word":    {trials: []uint32{77, never}, aside: []bool{true, false}},
		"this process, once": {trials: []uint32{never, never}, deaths: []int{1, 0}, again: []bool{true, false}},
		"this process again": {trials: []uint32{never, never}, deaths: []int{0, 2}, aside: []bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "ipv4", adding)
			w.cfg.Trial = 50 * time.Millisecond
			var clients []*adder
			for range c.trials {
				a := w.dial()
				a.ask(3)
				a.rest()
				clients = append(clients, a)
			}
			ids := map[string]cbox.ID{}
			for _, s := range w.s1.keep.Sessions() {
				ids[s.Remote.String()] = s.ID
			}
			ledger := newNoted()
			for i, n := range c.deaths {
				ledger.deaths[ids[clients[i].LocalAddr().String()]] = n
			}
			w.cfg.Ledger = ledger
			w.die(nil)
			w.on(clients, c.trials)
			r := w.salvage()
			last := time.Duration(0)
			for i, a := range clients {
				if o := outcome(t, r, a); !has(c.again, i) {
					last = max(last, o.Live)
				}
			}
			for i, a := range clients {
				o := outcome(t, r, a)
				var aside *SetAsideError
				if errors.As(o.Err, &aside) != has(c.aside, i) || o.Err != nil && aside == nil || aside != nil && ledger.Aside(o.ID) != aside.Why {
					t.Errorf("%d: %v, noted %q", i, o.Err, ledger.Aside(o.ID))
				}
				if has(c.again, i) && (len(o.Notes) == 0 || o.Live < last) {
					t.Errorf("%d was to go on behind the others, at %v: %+v", i, last, o)
				}
				if o.Err == nil {
					a.ask(5)
					a.rest()
				} else if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%d, set aside, its client: %v", i, err)
				}
			}
			w.acquitted()
		})
	}
}

// ordered notes whose flows are let go of, in order.
type ordered struct {
	Gate
	released []string
}

func (g *ordered) Release(f steer.Flow) error {
	g.released = append(g.released, f.Remote.String())
	return g.Gate.Release(f)
}

// The client of a session that is lost does not wait for those that are tried again, one
// after another.
func TestLostDoNotWaitForOthers(t *testing.T) {
	w := newWorld(t, "ipv4", adding)
	w.cfg.Trial = 50 * time.Millisecond
	gate := &ordered{Gate: w.cfg.Gate}
	w.cfg.Gate = gate
	clients := w.busy(3, 3, 3)
	w.die(nil)
	w.on(clients, []uint32{uapi.CboxTrial, uapi.CboxTrialAgain, uapi.CboxTrial})
	r := w.salvage()
	if asides(r) != 1 || r.Saved() != 2 {
		t.Fatalf("%+v", r.Sessions)
	}
	if len(gate.released) != 3 || gate.released[0] != clients[1].LocalAddr().String() {
		t.Errorf("let go of are %v, lost is %v", gate.released, clients[1].LocalAddr())
	}
	if _, err := clients[1].Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client of what is lost: %v", err)
	}
}

func has(which []bool, i int) bool { return i < len(which) && which[i] }

// on writes into the dead machine's memory which clients' sessions were on trial.
func (w *world) on(clients []*adder, trials []uint32) {
	w.t.Helper()
	index := map[string]uint32{}
	for i, a := range clients {
		index[a.LocalAddr().String()] = trials[i]
	}
	for _, pages := range w.grave.Boxes {
		head, err := cbox.DecodeHead(w.peek(pages, 0, 4096), uint64(len(pages)*4096))
		w.must(err)
		trial, ours := index[head.Remote().String()]
		if !ours {
			w.t.Fatalf("%s is nobody's", head.Remote())
		}
		w.machine.Poke64(pages[0]+uapi.CboxHeadTrialOff, uint64(trial)) // and the word behind it, which is 0
		w.machine.Poke64(pages[0]+uapi.CboxHeadTriedOff, head.Exports)
	}
}

// tried are the clients of a keeper's sessions that are on trial.
func tried(k *keeper.Keeper) (clients []string) {
	for _, s := range k.Sessions() {
		if k.OnTrial(s.ID) {
			clients = append(clients, s.Remote.String())
		}
	}
	return clients
}

// acquitted waits until nothing at the recovery node is on trial any more.
func (w *world) acquitted() {
	w.t.Helper()
	for end := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		left := tried(w.s2.keep)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("on trial are %v", left)
		}
	}
}

// unlucky is the number that kills.
const unlucky = 13

// deadly adds up, but at the unlucky number nothing happens any more on a machine: this
// is what its clients see of one that dies of it.
func deadly(machines ...string) process {
	return process{"adder", func(s *server, c *keeper.Client) error {
		return s.serve(c, func(conn *cbox.Conn) error {
			for _, m := range machines {
				if m == s.Name {
					return errors.Join(addsUntil(conn, unlucky, func() { <-s.w.t.Context().Done() }), conn.Close())
				}
			}
			return addUp(conn)
		})
	}}
}

// A session's replay kills the recovery node, too. The next one carries that one's
// sessions out of its memory, but for this; it is not tried on a third (§3.6.3).
func TestReplayKillsTheRecoveryNode(t *testing.T) {
	w := newWorld(t, "ipv4", deadly("s1", "s2"))
	w.cfg.Trial = time.Hour // it dies within it
	good, bad := w.dial(), w.dial()
	good.ask(5)
	good.rest()
	bad.ask(unlucky)
	bad.hear(unlucky - 1)
	w.die(nil)
	if r := w.salvage(); r.Saved() != 2 {
		t.Fatalf("%+v", r.Sessions)
	}
	good.ask(5)
	good.rest()
	for end := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		left := tried(w.s2.keep)
		if len(left) == 1 && left[0] == bad.LocalAddr().String() {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("on trial are %v", left)
		}
	}
	first := w.machine
	w.bury(w.s2, nil)
	w.recoverAt("s3", adding)
	w.cfg.Ledger = newNoted()
	r := w.salvage()
	if r.Saved() != 1 || asides(r) != 1 || outcome(t, r, good).Err != nil {
		t.Fatalf("%+v", r.Sessions)
	}
	w.machine, w.carrier = first, nil // which has an older state of both
	if r = w.salvage(); !outcome(t, r, good).Here || asides(r) != 1 {
		t.Fatalf("out of the first machine: %+v", r.Sessions)
	}
	if _, err := bad.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client of what kills machines: %v", err)
	}
	good.ask(5)
	good.rest()
}

// The same with another client that says nothing: which of the two kills machines is
// not known, so both are tried once more, and here it was neither.
func TestTwoWereOnTrial(t *testing.T) {
	w := newWorld(t, "ipv4", deadly("s1", "s2"))
	w.cfg.Trial = time.Hour
	quiet, bad := w.dial(), w.dial()
	quiet.ask(5)
	quiet.rest()
	bad.ask(unlucky)
	bad.hear(unlucky - 1)
	w.die(nil)
	if r := w.salvage(); r.Saved() != 2 {
		t.Fatalf("%+v", r.Sessions)
	}
	w.bury(w.s2, nil)
	w.recoverAt("s3", adding)
	w.cfg.Trial = 50 * time.Millisecond
	r := w.salvage()
	if r.Saved() != 2 || len(outcome(t, r, bad).Notes) == 0 {
		t.Fatalf("%+v", r.Sessions)
	}
	for _, a := range []*adder{quiet, bad} {
		a.rest()
		a.ask(5)
		a.rest()
	}
}
