// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/mtcp/party"
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

// dyingOver has the site's daemon kill itself over a move, starts it again, and
// returns what the move came to.
func (s *site) dyingOver(move func() error) error {
	s.t.Helper()
	return s.endingOver(s.scd, func() { s.startSCD() }, move)
}

// endingOver has a process of the site's end over a move, then the next one begin. A move
// that ends in vain while it lives never gets to where it is killed.
func (s *site) endingOver(p *process, next func(), move func() error) error {
	s.t.Helper()
	result := make(chan error, 1)
	go func() { result <- move() }()
	select {
	case <-p.ended():
	case err := <-result:
		if err != nil && !p.endsSoon() {
			s.t.Fatalf("the move has ended before the process of %s got to where it is killed: %v", s.name, err)
		}
		result <- err
		p.died(s.t)
	case <-time.After(hang):
		s.t.Fatalf("neither has the move ended, nor did the process of %s get to where it is killed", s.name)
	}
	next()
	err := <-result
	s.t.Logf("the move: %v", err)
	return err
}

func (p *process) endsSoon() bool {
	select {
	case <-p.ended():
		return true
	case <-time.After(10 * time.Second):
		return false
	}
}

// death is a daemon's, at a step of a move; the session is at that server then ("": that
// depends on who is quicker, or it is not looked at).
type death struct{ who, step, at string }

// drawn are those of a list that make test tries, so many; make soak tries all.
func drawn[T any](all []T, few int) []T {
	rng := rand.New(rand.NewPCG(lab.Seed(), 4))
	all = slices.Clone(all)
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:lab.Count(few, len(all))]
}

var overTakeover = []death{
	{"s1", "before PROPOSE", "s1"},
	{"s1", "after PROPOSE", "s1"},
	{"s2", "before ACCEPT", "s1"},
	{"s2", "after ACCEPT", "s1"},
	{"s1", "before capture", "s1"},
	{"s1", "after capture", "s1"},
	{"s1", "before STATE_REPLY", "s1"},
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
}

// Kill -9 of either daemon at a step of a takeover; it is started again. The
// session goes on, at S1 or at S2, and every byte arrives once.
func TestKilledOverTakeover(t *testing.T) {
	for _, c := range drawn(overTakeover, 13) {
		t.Run(c.who+" "+c.step, func(t *testing.T) {
			w := newWorld(t, false)
			w.sites[c.who].killedAt(c.step)
			end := w.download(w.addr, long)
			s1 := w.sites["s1"]
			s1.await("the session", func() bool { return len(s1.ls()) == 1 })
			time.Sleep(50 * time.Millisecond)
			// S2 says what became of it; S1 asks
			if err := w.sites[c.who].dyingOver(func() error { return s1.ctl("move", "--to", "s2", w.addr.String()) }); err == nil {
				t.Error("the move has succeeded")
			}
			end()
			if !w.has(c.at) {
				t.Errorf("the address is not at %s", c.at)
			}
		})
	}
}

// An S2 that is back before the client has given up is asked again, and what a killed S1
// has said may be on its way.
var overAgentsMove = []death{
	{"s2", "before hold", ""},
	{"s2", "after hold", ""},
	{"s2", "before STATE_REQUEST", ""},
	{"s2", "after STATE_REQUEST", ""},
	{"s1", "before capture", "s1"},
	{"s1", "after capture", "s1"},
	{"s1", "before STATE_REPLY", "s1"},
	{"s1", "after STATE_REPLY", ""},
	{"s2", "before restore", ""},
	{"s2", "after restore", ""},
	{"s2", "before STATE_ACK", ""},
	{"s2", "after STATE_ACK", ""},
	{"s2", "before MIGRATE_REPLY", ""},
	{"s2", "after MIGRATE_REPLY", "s1"},
	{"s2", "before live", "s1"},
	{"s1", "before discard", "s2"},
	{"s1", "after discard", "s2"},
}

// Kill -9 of either server's daemon at a step of a client's move; it is started
// again. The client stays, arrives, or comes back, as is written there. Whatever it
// is told is true: the server that it is with then serves it to the end.
func TestKilledOverAgentsMove(t *testing.T) {
	for _, c := range drawn(overAgentsMove, 12) {
		t.Run(c.who+" "+c.step, func(t *testing.T) { killedOverAgentsMove(t, c, (*world).download) })
	}
}

// So it is when the client says everything, and what it has said may be anywhere.
func TestKilledOverAgentsUpload(t *testing.T) {
	for _, c := range drawn(overAgentsMove, 5) {
		t.Run(c.who+" "+c.step, func(t *testing.T) { killedOverAgentsMove(t, c, (*world).upload) })
	}
}

func killedOverAgentsMove(t *testing.T, c death, transfer func(*world, netip.Addr, int) func()) {
	w := newWorld(t, false)
	a := w.agent("--patience", "20s")
	w.sites[c.who].killedAt(c.step)
	end := transfer(w, own(0, false).Addr(), long)
	l := a.flow()
	err := w.sites[c.who].dyingOver(func() error { return a.move(l, own(1, false)) })
	if c.at != "" && (err == nil) != (c.at == "s2") {
		t.Errorf("move: %v", err)
	}
	a.isWhere(err)
	end()
	w.servedWhere(err)
}

// isWhere checks that the connection, if there still is one, is with the server
// that a move's outcome says.
func (a *agent) isWhere(moved error) {
	a.w.t.Helper()
	at := map[bool]string{true: own(1, false).String(), false: own(0, false).String()}[moved == nil]
	for _, now := range a.connections() {
		if now.At != at {
			a.w.t.Errorf("it is at %s; the move: %v", now.At, moved)
		}
	}
}

// servedWhere checks that S2 alone has served the session to the end if it has moved
// there, and S1 alone if it has not.
func (w *world) servedWhere(moved error) {
	w.t.Helper()
	at, other := w.sites["s1"], w.sites["s2"]
	if moved == nil {
		at, other = other, at
	}
	at.await("the session's end", at.served)
	if other.served() {
		w.t.Errorf("%s has served it; the move: %v", other.name, moved)
	}
}

// A client that has switched to a server which then dies goes on to a third one.
func TestSwitchedGoesOnToAThird(t *testing.T) {
	w := (&world{t: t, names: []string{"s1", "s2", "s3"}}).build(false)
	a := w.agent("--patience", "20s")
	w.sites["s2"].killedAt("before live")
	end := w.download(own(0, false).Addr(), long)
	l := a.flow()
	w.sites["s1"].await("both servers in the offer", func() bool { return len(a.flow().Servers) == 2 })
	if err := w.sites["s2"].dyingOver(func() error { return a.move(l) }); err != nil {
		t.Error(err)
	}
	for _, now := range a.connections() {
		if now.At != own(2, false).String() {
			t.Errorf("it is at %s", now.At)
		}
	}
	end()
}

var overGatewaysMove = []death{
	{who: "s1", step: "before PROPOSE"}, {who: "s1", step: "after PROPOSE"}, {who: "s1", step: "before capture"}, {who: "s1", step: "after capture"},
	{who: "s1", step: "before STATE_REPLY"}, {who: "s1", step: "after STATE_REPLY"}, {who: "s1", step: "before commit"}, {who: "s1", step: "after commit"},
	{who: "s1", step: "before GO"}, {who: "s1", step: "after GO"}, {who: "s1", step: "before discard"}, {who: "s1", step: "after discard"},
	{who: "s2", step: "before ACCEPT"}, {who: "s2", step: "after ACCEPT"}, {who: "s2", step: "before restore"}, {who: "s2", step: "after restore"},
	{who: "s2", step: "before STATE_ACK"}, {who: "s2", step: "after STATE_ACK"}, {who: "s2", step: "before live"},
}

// A gateway's move, and either daemon dies over it.
func TestKilledOverGatewaysMove(t *testing.T) {
	for _, c := range drawn(overGatewaysMove, 8) {
		t.Run(c.who+" "+c.step, func(t *testing.T) {
			w := newGated(t)
			w.sites[c.who].killedAt(c.step)
			end := w.download(own(0, false).Addr(), long)
			at, id := w.only()
			_ = w.sites[c.who].dyingOver(func() error { return at.ctl("move", "--by", "gateway", "--to", "s2", id) }) // which may be the one that dies
			end()
		})
	}
}

// handOvers are deaths of S2's daemon when the session lives there, by a way.
var handOvers = []struct {
	by, step string
	served   bool // a process waits for it
}{
	{"takeover", "noted", true},
	{"takeover", "alive", true},
	{"takeover", "thawed", false},
	{"takeover", "adopted", true},
	{"takeover", "adopted", false},
	{"takeover", "after live", true},
	{"takeover", "before MOVED", true},
	{"takeover", "after MOVED", true},
	{"gateway", "noted", true},
	{"gateway", "adopted", false},
	{"gateway", "after live", true},
	{"gateway", "before MOVED", false},
	{"gateway", "after MOVED", true},
	{"client", "noted", true},
	{"client", "alive", false},
	{"client", "adopted", true},
	{"client", "after live", true},
	{"client", "before MOVED", false},
	{"client", "after MOVED", true},
}

// S2's daemon dies between the word that the session lives there and the hand-over
// to a process, or soon after it: nobody has its socket but the holder, S1 has let go
// of it or will. Started again it goes on from there, and every byte arrives once. A
// server that comes only then finds the session waiting.
func TestKilledBeforeHandOver(t *testing.T) {
	for _, c := range drawn(handOvers, 10) {
		t.Run(fmt.Sprintf("%s %s %t", c.by, c.step, c.served), func(t *testing.T) { killedBeforeHandOver(t, c.by, c.step, c.served) })
	}
}

func killedBeforeHandOver(t *testing.T, by, step string, served bool) {
	w, move := newWay(t, by, false, false)
	s2 := w.sites["s2"]
	s2.killedAt(step)
	if !served {
		s2.web.kill()
	}
	end := w.download(w.addr, long)
	w.only()
	err := s2.dyingOver(move)
	if err != nil {
		t.Errorf("the move: %v", err)
	}
	if !served {
		s2.startWeb()
	}
	end()
	w.servedWhere(err)
}

// Many come at once, and S2's daemon dies when it has the first of them: the next one
// has them all.
func TestManyKilledBeforeHandOver(t *testing.T) {
	n := lab.Count(200, 5000)
	w := newWorld(t, false)
	s1, s2 := w.sites["s1"], w.sites["s2"]
	s2.killedAt("adopted")
	s2.web.kill()
	var ends []func()
	for range n {
		ends = append(ends, w.idle())
	}
	s1.await("all sessions", func() bool { return len(s1.ls()) == n })
	if err := s2.dyingOver(func() error { return s1.ctl("move", "--to", "s2", w.addr.String()) }); err != nil {
		t.Errorf("the move: %v", err)
	}
	s2.await("all sessions", func() bool { return len(s2.ls()) == n })
	s2.startWeb()
	for _, end := range ends {
		end()
	}
}

// A server and its daemon are killed, one after the other, perhaps what holds the
// session as well, or the daemon is ended as for an update: the session waits where
// nobody is, and goes on with the next server and the next daemon. Under a move that has
// begun it stays, or is where it was to go.
func TestWaitingSessionOutlivesDaemon(t *testing.T) {
	for _, step := range []string{"killed", "killed after its holder", "ended", "after capture", "after GO"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, false)
			s1, s2 := w.sites["s1"], w.sites["s2"]
			under := strings.HasPrefix(step, "after")
			if under {
				s1.killedAt(step)
			}
			end := w.download(w.addr, long)
			w.only()
			s1.web.kill()
			s1.await("the end of its process", func() bool { all := s1.ls(); return len(all) == 1 && all[0].PID == 0 })
			if step == "killed after its holder" {
				s1.killHolder()
			}
			if !under {
				if err := s1.scd.Process.Signal(map[bool]os.Signal{false: syscall.SIGKILL, true: syscall.SIGTERM}[step == "ended"]); err != nil {
					t.Fatal(err)
				}
				s1.scd.died(t)
				s1.startSCD()
			} else if err := s1.dyingOver(func() error { return s1.ctl("move", "--to", "s2", w.addr.String()) }); err == nil {
				t.Error("the move has succeeded")
			}
			s1.startWeb()
			end()
			at := map[bool]*site{true: s2, false: s1}[step == "after GO"]
			at.await("the session's end", at.served)
		})
	}
}

// killHolder is kill -9 of the only process that a daemon has started, and waits for the
// next one.
func (s *site) killHolder() {
	s.t.Helper()
	pid := 0
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.scd.Process.Pid))
	for _, path := range tasks {
		text, _ := os.ReadFile(path) // a thread may have ended
		_, _ = fmt.Sscan(string(text), &pid)
	}
	if err != nil || pid == 0 {
		s.t.Fatalf("the daemon of %s has no holder: %v", s.name, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	s.await("another holder", func() bool { return strings.Contains(s.scd.log.String(), "what waits has a holder again") })
}

// steps are before and after each thing that a party does in a move which goes as it should.
func steps(m interface {
	Step(party.Event) []party.Effect
}, hears ...party.Kind) (all []string) {
	for _, k := range hears {
		for _, e := range m.Step(party.Event{Kind: k}) {
			if e.Do != party.Wake && e.Do != party.End {
				all = append(all, "before "+e.String(), "after "+e.String())
			}
		}
	}
	return all
}

// Each daemon is killed before and after everything that it does in a move, by each of the
// ways: what is new there is in one of the lists above, or in the agent's.
func TestEveryStepIsTried(t *testing.T) {
	tried := map[string]bool{}
	add := func(way string, all []death) {
		for _, d := range all {
			tried[way+" "+d.who+" "+d.step] = true
		}
	}
	add("takeover", overTakeover)
	add("client", overAgentsMove)
	add("gateway", overGatewaysMove)
	for _, h := range handOvers {
		tried[h.by+" s2 "+h.step] = true
	}
	for _, step := range agentsSteps {
		tried["client agent "+step] = true
	}
	led := party.NewSource(party.BySource, party.Defaults)
	for who, all := range map[string][]string{
		"takeover s1":  steps(led, party.Start, party.Accept, party.Done, party.Ready, party.Done, party.Moved),
		"takeover s2":  steps(party.NewTarget(party.BySource, party.Defaults), party.Propose, party.State, party.Done, party.Go, party.Done),
		"client s1":    steps(party.NewSource(party.ByClient, party.Defaults), party.Start, party.Done, party.Moved),
		"client s2":    steps(party.NewTarget(party.ByClient, party.Defaults), party.Request, party.State, party.Done, party.Ack, party.Done),
		"client agent": steps(party.NewClient(party.Defaults, 1), party.Start, party.Done, party.Reply, party.Done, party.Opened),
	} {
		if len(all) < 6 {
			t.Errorf("%s does %q: that is no move", who, all)
		}
		ways := []string{who}
		if name, ok := strings.CutPrefix(who, "takeover "); ok {
			ways = append(ways, "gateway "+name)
		}
		for _, way := range ways {
			for _, step := range all {
				if !tried[way+" "+step] {
					t.Errorf("%s is not killed %s", way, step)
				}
			}
		}
	}
	if led.State() != party.Left {
		t.Errorf("S1 is %s after a move", led.State())
	}
}
