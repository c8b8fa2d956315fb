// SPDX-License-Identifier: Apache-2.0

package party

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is lost, doubled, overtaken or killed at any step: never do two
// servers serve, and the client's segments never go to a server that serves
// while another one could. Without a killed daemon the session goes on.
func TestAtMostOneServes(t *testing.T) {
	for _, lead := range []Lead{ByClient, BySource} {
		t.Run(lead.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { play(rt, lead) })
		})
	}
}

func play(rt *rapid.T, lead Lead) {
	servers := []string{s2}
	if lead == ByClient && rapid.Bool().Draw(rt, "two") {
		servers = append(servers, s3)
	}
	w := newWorld(lead, servers...)
	w.start()
	killed, fired := false, map[string]int{}
	for range rapid.IntRange(5, 80).Draw(rt, "steps") {
		switch rapid.IntRange(0, 13).Draw(rt, "what") {
		case 0, 1, 2:
			w.someChannel(rt)
		case 3, 4:
			w.someLetter(rt, rapid.IntRange(0, 3).Draw(rt, "how"))
		case 5, 6, 7:
			w.somePending(rt)
		case 8:
			w.someTimer(rt, fired)
		case 9:
			w.link(servers[rapid.IntRange(0, len(servers)-1).Draw(rt, "link")], rapid.Bool().Draw(rt, "up"))
		case 10:
			w.hear()
		case 11:
			killed = w.someDeath(rt, servers) || killed
		case 12:
			w.tire()
		case 13:
			w.seek()
		}
		w.check(rt)
	}
	w.quiet(rt, servers)
	w.check(rt)
	if !killed {
		w.checkGoesOn(rt)
	} else if s := w.places[s1].source.State(); s != Serving && s != Left {
		rt.Fatalf("S1 is %s after all daemons are back:\n%s", s, w.story())
	}
}

func (w *world) someChannel(rt *rapid.T) {
	var full []string
	for k, q := range w.chans {
		if len(q) > 0 {
			full = append(full, k)
		}
	}
	if len(full) == 0 {
		return
	}
	slices.Sort(full)
	w.receive(rapid.SampledFrom(full).Draw(rt, "channel"))
}

func (w *world) receive(channel string) {
	l := w.chans[channel][0]
	w.chans[channel] = w.chans[channel][1:]
	w.deliver(l)
}

// someLetter of TCP arrives, is lost, or arrives and will do so again.
func (w *world) someLetter(rt *rapid.T, how int) {
	if len(w.wire) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.wire)-1).Draw(rt, "letter")
	l := w.wire[i]
	if how != 3 || len(w.wire) > 30 {
		w.wire = slices.Delete(slices.Clone(w.wire), i, i+1)
	}
	if how != 0 {
		w.deliver(l)
	}
}

func (w *world) somePending(rt *rapid.T) {
	if len(w.pending) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.pending)-1).Draw(rt, "pending")
	f := w.pending[i]
	w.pending = slices.Delete(slices.Clone(w.pending), i, i+1)
	f()
}

// someTimer ends, but not one that is there to give up a session.
func (w *world) someTimer(rt *rapid.T, fired map[string]int) {
	var due []string
	for who, after := range w.timers {
		if after < int(timing.Doubt.Seconds()) && fired[who] < timing.Holds-2 {
			due = append(due, who)
		}
	}
	if len(due) == 0 {
		return
	}
	slices.Sort(due)
	who := rapid.SampledFrom(due).Draw(rt, "timer")
	fired[who]++
	w.fireAny(who)
}

// fireAny ends the timer of the target that has one: the youngest's.
func (w *world) fireAny(who string) {
	attempt := 0
	if p := w.places[who]; p != nil && who != s1 {
		for id := range p.targets {
			attempt = max(attempt, id)
		}
	}
	w.fire(who, attempt)
}

func (w *world) someDeath(rt *rapid.T, servers []string) bool {
	if rapid.IntRange(0, 5).Draw(rt, "dies") > 0 {
		return false
	}
	if w.client != nil && rapid.IntRange(0, 2).Draw(rt, "agent") == 0 {
		w.killAgent() // which costs nothing but the attempt
		return false
	}
	who := rapid.SampledFrom(append([]string{s1}, servers...)).Draw(rt, "who")
	if who == s1 {
		if w.places[s1].source != nil {
			w.kill(s1)
		} else {
			w.restart(s1)
		}
		return true
	}
	if p := w.places[who]; p.down {
		w.restart(who)
	} else {
		w.kill(who)
	}
	return true
}

// quiet mends everything and lets all run to its end.
func (w *world) quiet(rt *rapid.T, servers []string) {
	for range 2000 {
		w.restart(s1)
		for _, s := range servers {
			w.restart(s)
			w.link(s, true)
		}
		busy := false
		for _, s := range servers {
			for _, ch := range []string{s1 + s, s + s1} {
				for len(w.chans[ch]) > 0 {
					w.receive(ch)
					busy = true
				}
			}
		}
		for len(w.pending) > 0 {
			f := w.pending[0]
			w.pending = w.pending[1:]
			f()
			busy = true
		}
		for n := len(w.wire); n > 0; n-- {
			l := w.wire[0]
			w.wire = w.wire[1:]
			w.deliver(l)
			busy = true
		}
		w.check(rt)
		if w.hear() || w.seek() || busy {
			continue
		}
		if !w.fireOne() {
			return
		}
	}
	rt.Fatalf("it does not end:\n%s", w.story())
}

// fireOne ends the shortest timer.
func (w *world) fireOne() bool {
	best := ""
	for _, who := range []string{c, s2, s3, s1} {
		if after, ok := w.timers[who]; ok && (best == "" || after < w.timers[best]) {
			best = who
		}
	}
	if best == "" {
		return false
	}
	w.fireAny(best)
	return true
}

func (w *world) story() string { return strings.Join(w.log, "\n") + "\n" + w.state() }

func (w *world) check(rt *rapid.T) {
	rt.Helper()
	if all := w.servers(); len(all) > 1 {
		rt.Fatalf("%v serve the session:\n%s", all, w.story())
	}
}

// checkGoesOn: one serves, and it is the one that the client's segments reach.
func (w *world) checkGoesOn(rt *rapid.T) {
	rt.Helper()
	all := w.servers()
	if len(all) != 1 || all[0] != w.steer {
		rt.Fatalf("%v serve, the client's segments go to %q:\n%s", all, w.steer, w.story())
	}
	if s := w.places[s1].source; s.State() != Serving && s.State() != Left {
		rt.Fatalf("S1 is %s:\n%s", s.State(), w.story())
	}
	for _, name := range w.to {
		for id, target := range w.places[name].targets {
			if p := w.places[name]; target.State() == Dropped && (p.restored[id] || p.held[id]) {
				rt.Fatalf("%s has dropped the session and keeps what was its own:\n%s", name, w.story())
			}
		}
	}
	if w.client != nil && w.client.State() != Off && w.client.State() != Arrived {
		rt.Fatalf("the client is %s:\n%s", w.client.State(), w.story())
	}
}
