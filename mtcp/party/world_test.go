// SPDX-License-Identifier: Apache-2.0

package party

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// timing has few repetitions, so that all ends can be reached.
var timing = Timing{Retry: time.Second, Tries: 3, Holds: 20, Stays: 3, Step: time.Minute, Doubt: time.Hour}

// who takes part: the client, S1 and up to two that it may go to.
const (
	c  = "C"
	s1 = "S1"
	s2 = "S2"
	s3 = "S3"
)

// letter is something on its way.
type letter struct {
	from, to string
	event    Event
	attempt  int // of the client: the flow that it used
}

func (l letter) String() string { return fmt.Sprintf("%s -> %s %s", l.from, l.to, l.event.Kind) }

// place is a server and its daemon.
type place struct {
	source  *Source // S1's; nil: the daemon died
	targets map[int]*Target
	frozen  bool
	dead    bool // the session was here and is no more
	given   bool // the journal says that it was given away, or may be
	live    bool // a process serves the session here
	noted   map[int]bool
	restored,
	held map[int]bool
	linked bool
	down   bool // the daemon has died and was not started again
}

// world is a session with everybody who could have it; it knows everything.
type world struct {
	lead    Lead
	client  *Client
	attempt int // the present one, and how many there have been
	tried   int
	to      []string // servers that are left to the client
	at      string   // where it tries to go
	given   int      // attempt whose server was silent, 0: none
	with    string   // that server
	asked   int      // how often S1 was, which does not say so for ever
	steer   string   // whom the client's segments reach: S1, a server, or nobody
	wire    []letter // of TCP: any order, any number
	chans   map[string][]letter
	places  map[string]*place
	pending []func() string // star effects under way
	timers  map[string]int  // by party: After in seconds; one timer each
	serving int             // attempt that S1's source is about
	peer    string          // with whom
	moveID  int
	log     []string
}

func newWorld(lead Lead, servers ...string) *world {
	w := &world{lead: lead, chans: map[string][]letter{}, places: map[string]*place{}, timers: map[string]int{}, steer: s1, to: servers}
	for _, name := range append([]string{s1}, servers...) {
		w.places[name] = &place{targets: map[int]*Target{}, noted: map[int]bool{}, restored: map[int]bool{}, held: map[int]bool{}, linked: true}
	}
	w.places[s1].source = NewSource(lead, timing)
	if lead == ByClient {
		w.client = NewClient(timing, len(servers))
	}
	return w
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

// start begins a move.
func (w *world) start() {
	if w.lead == ByClient {
		w.run(c, w.client.Step(Event{Kind: Start}))
		return
	}
	w.moveID++
	w.serving, w.peer = w.moveID, w.to[0]
	if s := w.places[s1].source; s != nil {
		w.run(s1, s.Step(Event{Kind: Start}))
	}
}

// run carries effects out; those with a star become pending.
func (w *world) run(who string, effects []Effect) {
	for _, e := range effects {
		switch e.Do {
		case Send:
			w.send(who, e)
		case Wake:
			w.timers[who] = int(e.After / time.Second)
		case End:
			delete(w.timers, who)
			if e.Why != "" {
				w.note("%s: %s", who, e.Why)
			}
		default:
			w.note("%s: %s", who, e.Do)
			w.do(who, e.Do)
		}
	}
}

func (w *world) send(who string, e Effect) {
	if who == s1 && e.Msg == State && w.lead == ByClient {
		w.places[s1].given = true
	}
	l := letter{from: who, event: Event{e.Msg, e.Why}, attempt: w.attempt}
	switch {
	case who == c && e.Msg == Stay:
		l.to = s1
	case who == c:
		l.to = w.at
	case e.Msg == Reply || e.Msg == Refuse:
		l.to, l.attempt = c, w.about(who)
	case who == s1:
		l.to, l.attempt = w.peer, w.serving
	default:
		l.to, l.attempt = s1, w.about(who)
	}
	if l.to == c || who == c {
		w.wire = append(w.wire, l)
		return
	}
	if server := l.server(); w.places[server].linked {
		w.chans[l.from+l.to] = append(w.chans[l.from+l.to], l)
	}
}

// server is the one of a letter that is not S1.
func (l letter) server() string {
	if l.from == s1 {
		return l.to
	}
	return l.from
}

// about is the move that a target's effects are about: set by deliver.
func (w *world) about(string) int { return w.moveID }

func (w *world) do(who string, d Do) {
	p := w.places[who]
	switch d {
	case Capture:
		p.frozen = true
		w.later(who, d)
	case Commit:
		p.given = true
		w.later(who, d)
	case Begin: // an agent that dies over it has noted which attempt that was to be
		w.tried++
		w.attempt = w.tried
		w.later(who, d)
	case Restore, Live, Switch, Follow:
		w.later(who, d)
	case Undo:
		p.frozen, p.given = false, false
		w.redirect(s1)
	case Discard:
		p.dead, p.given = true, false
	case Hold:
		p.held[w.moveID] = true
	case Drop:
		delete(p.restored, w.moveID)
		delete(p.held, w.moveID)
	case FallBack:
		w.steer = s1
	case Return:
		w.steer, w.given = s1, 0
	case Seek:
		w.steer, w.given, w.with = s1, w.attempt, w.at
	}
}

// redirect is where the client's segments go, if not the client decides that.
func (w *world) redirect(to string) {
	if w.lead == BySource {
		w.steer = to
	}
}

// later makes an effect end by and by, with the party that it was for.
func (w *world) later(who string, d Do) {
	p, id, client := w.places[who], w.moveID, w.client
	var source *Source
	var target *Target
	if p != nil {
		source, target = p.source, p.targets[id]
	}
	w.pending = append(w.pending, func() string {
		switch {
		case (d == Begin || d == Switch || d == Follow) && w.client != client:
			return "" // it has not got so far
		case d == Begin:
			w.at, w.to = w.to[0], w.to[1:]
			w.run(c, w.client.Step(Event{Kind: Done}))
		case d == Switch:
			w.given = 0
			fallthrough
		case d == Follow:
			w.steer = w.at
			w.run(c, w.client.Step(Event{Kind: Done}))
		case d == Capture || d == Commit:
			if p.source != source {
				if d == Commit && p.given { // it may have got so far
					w.redirect(w.peer)
				}
				return ""
			}
			if d == Commit {
				w.redirect(w.peer)
			}
			w.run(who, source.Step(Event{Kind: Done}))
		default:
			if p.targets[id] != target {
				if d == Live {
					p.noted[id] = true // it may have got so far
				}
				return ""
			}
			w.moveID = id
			if d == Restore {
				p.restored[id] = true
			} else {
				p.noted[id], p.live = true, true
			}
			w.run(who, target.Step(Event{Kind: Done}))
		}
		return fmt.Sprintf("%s: %s is done", who, d)
	})
}

// deliver hands a letter to whom it is for, as a driver would.
func (w *world) deliver(l letter) {
	w.note("%s", l)
	switch {
	case l.to == c:
		if l.attempt == w.attempt { // the others are black holes
			w.run(c, w.client.Step(l.event))
		}
	case l.to == s1:
		w.deliverSource(l)
	default:
		w.deliverTarget(l)
	}
}

func (w *world) deliverSource(l letter) {
	s := w.places[s1].source
	switch {
	case s == nil && l.event.Kind == Stay || w.places[s1].dead:
	case l.event.Kind == Ask && (s == nil || s.State() != Serving || w.client == nil):
		w.reply(l, Event{Abort, "busy"})
	case l.event.Kind == Ask:
		w.serving, w.peer = l.attempt, l.from
		w.run(s1, s.Step(Event{Kind: Start}))
	case s != nil && l.attempt == w.serving && (l.event.Kind == Stay || l.from == w.peer):
		w.run(s1, s.Step(l.event))
	}
}

func (w *world) reply(l letter, e Event) {
	if w.places[l.server()].linked {
		w.chans[l.to+l.from] = append(w.chans[l.to+l.from], letter{l.to, l.from, e, l.attempt})
	}
}

func (w *world) deliverTarget(l letter) {
	p := w.places[l.to]
	if p.down {
		return
	}
	w.moveID = l.attempt
	t := p.targets[l.attempt]
	if t == nil {
		switch l.event.Kind {
		case Query, Go, State:
			w.reply(l, Event{Kind: Unknown(p.noted[l.attempt])})
		case Request, Propose:
			if p.noted[l.attempt] || !p.linked {
				return
			}
			t = NewTarget(w.lead, timing)
			p.targets[l.attempt] = t
		default:
			return
		}
	}
	if t != nil {
		w.run(l.to, t.Step(l.event))
	}
}

// hear is S2's first segment at the client.
func (w *world) hear() bool {
	p := w.places[w.steer]
	if w.client == nil || w.client.State() != Switched || !p.live {
		return false
	}
	w.run(c, w.client.Step(Event{Kind: Opened}))
	return true
}

// seek is the client's question to S1 and its answer: whether a server that was silent has
// the session.
func (w *world) seek() bool {
	if w.client == nil || w.client.State() != Off || w.given == 0 || !w.places[s1].dead || w.asked == 3 {
		return false
	}
	w.asked++
	w.note("S1: it is elsewhere")
	w.client, w.attempt, w.at = FollowClient(timing), w.given, w.with
	w.run(c, w.client.Step(Event{Kind: Start}))
	return true
}

// tire has a client that has switched hear nothing for as long as it waits, nor be heard.
func (w *world) tire() bool {
	if w.client == nil || w.client.State() != Switched {
		return false
	}
	w.note("C: nothing is heard for too long")
	sent := len(w.wire)
	defer func() { w.wire = w.wire[:sent] }()
	for w.client.State() == Switched {
		w.run(c, w.client.Step(Event{Kind: Timer}))
	}
	return true
}

func (w *world) fire(who string, attempt int) {
	delete(w.timers, who)
	w.note("%s: timer", who)
	switch {
	case who == c:
		w.run(c, w.client.Step(Event{Kind: Timer}))
	case who == s1:
		w.run(s1, w.places[s1].source.Step(Event{Kind: Timer}))
	default:
		w.moveID = attempt
		if t := w.places[who].targets[attempt]; t != nil {
			w.run(who, t.Step(Event{Kind: Timer}))
		}
	}
}

// link breaks or mends the connection between S1 and a server.
func (w *world) link(server string, up bool) {
	p := w.places[server]
	if p.linked == up || up && (p.down || w.places[s1].source == nil) {
		return
	}
	p.linked = up
	delete(w.chans, s1+server)
	delete(w.chans, server+s1)
	kind := Lost
	if up {
		kind = Linked
	}
	w.note("%s - %s: %s", s1, server, kind)
	for _, id := range sorted(p.targets) {
		w.moveID = id
		w.run(server, p.targets[id].Step(Event{Kind: kind}))
	}
	if s := w.places[s1].source; s != nil && w.peer == server {
		w.run(s1, s.Step(Event{Kind: kind}))
	}
}

func sorted(m map[int]*Target) []int {
	var ids []int
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// kill ends a server's daemon: sockets that processes have live on, what the
// daemon alone had is gone.
func (w *world) kill(server string) {
	p := w.places[server]
	w.note("%s: the daemon is killed", server)
	delete(w.timers, server)
	if server == s1 {
		for name := range w.places {
			if name != s1 {
				w.link(name, false)
			}
		}
		p.source = nil
		return
	}
	p.down, p.targets, p.restored, p.held = true, map[int]*Target{}, map[int]bool{}, map[int]bool{}
	w.link(server, false)
}

// killAgent ends the client's agent and starts it again. What the kernel's programs know
// is left: whether it has switched.
func (w *world) killAgent() {
	w.note("C: the agent is killed and started again")
	delete(w.timers, c)
	switch w.client.State() {
	case Off, Arrived, Stranded, Following:
		w.client = NewClient(timing, 0)
		return
	}
	w.client = ResumeClient(timing, w.client.State() == Switched)
	w.run(c, w.client.Step(Event{Kind: Start}))
}

// restart starts a daemon again.
func (w *world) restart(server string) {
	p := w.places[server]
	p.down = false
	if server != s1 || p.source != nil {
		return
	}
	w.note("S1: the daemon is started again")
	if !p.given {
		p.source, p.frozen = NewSource(w.lead, timing), false
		return
	}
	p.source = ResumeSource(w.lead, timing)
	w.run(s1, p.source.Step(Event{Kind: Start}))
}

// servers lists who serves the session.
func (w *world) servers() []string {
	var all []string
	for _, name := range []string{s1, s2, s3} {
		p := w.places[name]
		if p != nil && (name == s1 && !p.frozen && !p.dead || p.live) {
			all = append(all, name)
		}
	}
	return all
}

func (w *world) state() string {
	var b strings.Builder
	if w.client != nil {
		fmt.Fprintf(&b, "C %s; ", w.client.State())
	}
	if s := w.places[s1].source; s != nil {
		fmt.Fprintf(&b, "S1 %s; ", s.State())
	} else {
		b.WriteString("S1 dead; ")
	}
	for _, name := range []string{s2, s3} {
		if p := w.places[name]; p != nil {
			for _, id := range sorted(p.targets) {
				fmt.Fprintf(&b, "%s %s; ", name, p.targets[id].State())
			}
		}
	}
	fmt.Fprintf(&b, "served by %s", strings.Join(w.servers(), " and "))
	return b.String()
}
