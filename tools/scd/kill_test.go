// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"lazystate/tools/lab"
)

// killedAt starts a site's daemon and web server anew; the daemon kills itself at
// a step of a move.
func (s *site) killedAt(step string) {
	s.t.Helper()
	s.web.kill()
	s.scd.kill()
	s.startSCD("SCD_KILL=" + step)
	s.startWeb()
}

// Kill -9 of either daemon at a step of a takeover; it is started again. The
// session goes on, at S1 or at S2, and every byte arrives once.
func TestKilledOverTakeover(t *testing.T) {
	for _, c := range []struct{ who, step, at string }{
		{"s1", "before PROPOSE", "s1"},
		{"s1", "after PROPOSE", "s1"},
		{"s2", "before ACCEPT", "s1"},
		{"s2", "after ACCEPT", "s1"},
		{"s1", "after capture", "s1"},
		{"s1", "after STATE_REPLY", "s1"},
		{"s2", "before restore", "s1"},
		{"s2", "after restore", "s1"},
		{"s2", "before STATE_ACK", "s1"},
		{"s2", "after STATE_ACK", "s1"},
		{"s1", "before commit", "s1"},
		{"s1", "after commit", "s1"},
		{"s1", "before GO", "s1"},
		{"s2", "before live", "s1"},
		{"s1", "after GO", "s2"},
		{"s1", "before discard", "s2"},
		{"s1", "after discard", "s2"},
	} {
		t.Run(c.who+" "+c.step, func(t *testing.T) {
			w := newWorld(t, false)
			w.sites[c.who].killedAt(c.step)
			end := w.download(w.addr, 30<<20, "10M")
			s1 := w.sites["s1"]
			s1.await("the session", func() bool { return len(s1.ls()) == 1 })
			time.Sleep(50 * time.Millisecond)
			result := make(chan error, 1)
			go func() { result <- s1.ctl("move", "--to", "s2", w.addr.String()) }()
			w.sites[c.who].scd.died(t)
			w.sites[c.who].startSCD() // S2 says what became of it; S1 asks
			if err := <-result; err == nil {
				t.Error("the move has succeeded")
			}
			end()
			if !w.has(c.at) {
				t.Errorf("the address is not at %s", c.at)
			}
		})
	}
}

// Kill -9 of either server's daemon at a step of a client's move; it is started
// again. The client stays, arrives, or comes back, as is written here ("": that
// depends on who is quicker: an S2 that is back before the client has given up
// is asked again). Not tried is S2's death between going live and
// handing the session to a process: nobody else has the socket, and it ends.
func TestKilledOverAgentsMove(t *testing.T) {
	if !lab.Soak() {
		t.Skip("seen on an idle host, 3 of 26: S1's daemon does not get to its step within two minutes; until that is understood make soak alone has it")
	}
	for _, c := range []struct{ who, step, at string }{
		{"s2", "before STATE_REQUEST", ""},
		{"s2", "after STATE_REQUEST", ""},
		{"s1", "before capture", ""},
		{"s1", "after capture", ""},
		{"s1", "before STATE_REPLY", ""},
		{"s1", "after STATE_REPLY", ""},
		{"s2", "before restore", ""},
		{"s2", "after restore", ""},
		{"s2", "before MIGRATE_REPLY", ""},
		{"s2", "after MIGRATE_REPLY", "s1"},
		{"s2", "before live", "s1"},
		{"s1", "before discard", "s2"},
		{"s1", "after discard", "s2"},
	} {
		t.Run(c.who+" "+c.step, func(t *testing.T) {
			w := newWorld(t, false)
			a := w.agent("--patience", "20s")
			w.sites[c.who].killedAt(c.step)
			end := w.download(own(0, false).Addr(), 30<<20, "10M")
			l := a.flow()
			result := make(chan error, 1)
			go func() { _, err := a.ask("move", "--to", own(1, false).String(), l.Flow); result <- err }()
			w.sites[c.who].scd.died(t)
			w.sites[c.who].startSCD()
			if err := <-result; c.at != "" && (err == nil) != (c.at == "s2") {
				t.Errorf("move: %v", err)
			}
			end()
		})
	}
}

// A client that has switched to a server which then dies goes on to a third one.
func TestSwitchedGoesOnToAThird(t *testing.T) {
	w := (&world{t: t, names: []string{"s1", "s2", "s3"}}).build(false)
	a := w.agent("--patience", "20s")
	w.sites["s2"].killedAt("before live")
	end := w.download(own(0, false).Addr(), 25<<20, "5M")
	l := a.flow()
	w.sites["s1"].await("both servers in the offer", func() bool { return len(a.flow().Servers) == 2 })
	result := make(chan error, 1)
	go func() { _, err := a.ask("move", l.Flow); result <- err }()
	w.sites["s2"].scd.died(t)
	w.sites["s2"].startSCD()
	if err := <-result; err != nil {
		t.Error(err)
	}
	for _, now := range a.connections() {
		if now.At != own(2, false).String() {
			t.Errorf("it is at %s", now.At)
		}
	}
	end()
}

// A gateway's move, and either daemon dies over it.
func TestKilledOverGatewaysMove(t *testing.T) {
	for _, c := range []struct{ who, step string }{
		{"s1", "after capture"}, {"s1", "after commit"}, {"s1", "before GO"}, {"s1", "after GO"}, {"s1", "before discard"},
		{"s2", "after restore"}, {"s2", "before live"},
	} {
		t.Run(c.who+" "+c.step, func(t *testing.T) {
			w := newGated(t)
			w.sites[c.who].killedAt(c.step)
			end := w.download(own(0, false).Addr(), 30<<20, "10M")
			at, id := w.only()
			result := make(chan error, 1)
			go func() { result <- at.ctl("move", "--by", "gateway", "--to", "s2", id) }()
			w.sites[c.who].scd.died(t)
			w.sites[c.who].startSCD()
			<-result // its daemon may have died
			end()
		})
	}
}
