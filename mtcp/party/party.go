// SPDX-License-Identifier: Apache-2.0

package party

import (
	"fmt"
	"time"
)

// Lead says whose word lets the new server serve.
type Lead uint8

// The two ways there are.
const (
	ByClient Lead = iota + 1
	BySource
)

func (l Lead) String() string {
	if l != ByClient && l != BySource {
		return fmt.Sprintf("lead %d", uint8(l))
	}
	return [...]string{"", "by client", "by source"}[l]
}

// Kind is what a party hears, or has another hear.
type Kind uint8

// What there is to hear.
const (
	Start  Kind = iota + 1 // move, now
	Done                   // the last effect but Send and Wake has been carried out
	Failed                 // or could not be, and has left nothing behind
	Timer                  // the time of the last Wake is over
	Lost                   // the connection between S1 and S2 broke
	Linked                 // it is there again; what was under way on it is gone

	// Between S1 and S2, in order and reliably while the connection lasts.
	Propose // S1 to S2: will you have it? (BySource)
	Accept  // S2 to S1: yes
	Ask     // S2 to S1: state request (ByClient)
	State   // S1 to S2: state reply
	Ready   // S2 to S1: state ack, all is in place
	Go      // S1 to S2: serve it (BySource)
	Moved   // S2 to S1: I do
	Never   // S2 to S1: I do not, and never will this time
	Abort   // S1 to S2: forget it
	Query   // S1 to S2: what has become of it?

	// Between the client and a server, in options of TCP: lost, doubled, late.
	Request // MIGRATE_REQUEST
	Reply   // MIGRATE_REPLY, whose numbers make sense
	Ack     // RCVD_WHILE_MIGRATING, likewise
	Refuse  // MIGRATE_REFUSE or RST of S2
	Stay    // MIGRATE_REFUSE to S1: this attempt is over, the client is here

	// At the client.
	Opened // S2's first segment has come
	Gone   // the connection has ended
)

var kinds = [...]string{"", "start", "done", "failed", "timer", "lost", "linked", "PROPOSE", "ACCEPT", "STATE_REQUEST", "STATE_REPLY",
	"STATE_ACK", "GO", "MOVED", "NEVER", "ABORT", "QUERY", "MIGRATE_REQUEST", "MIGRATE_REPLY", "RCVD_WHILE_MIGRATING", "MIGRATE_REFUSE",
	"STAY", "opened", "gone"}

func (k Kind) String() string {
	if k == 0 || int(k) >= len(kinds) {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kinds[k]
}

// Event is what a party hears.
type Event struct {
	Kind Kind
	Why  string // of Failed, Never, Abort, Refuse
}

// Do is what a party wants to be done.
type Do uint8

// What there is to do. Those with a star end with Done or Failed.
const (
	Send Do = iota + 1 // Msg
	Wake               // Timer After; it takes the place of an earlier one
	End                // it is over, as the state says; no Timer any more

	Capture // * S1: redirect the client's segments to nobody, freeze, dump
	Commit  // * S1, BySource: let the client's segments go to S2
	Undo    //   S1: everything back; the session goes on here
	Discard //   S1: the session is elsewhere, or nowhere

	Hold    //   S2: the client's segments are for nobody yet
	Restore // * S2: all is made, nothing speaks
	Live    // * S2: note it in the journal, then speak
	Drop    //   S2: undo Restore and Hold

	Begin    // * client: MIGRATING
	Switch   // * client: SWITCHED
	FallBack //   client: OFF again
	Return   //   client: S2, to which it has switched, has refused: back to S1
	Seek     //   client: likewise, for it is silent; S1 is asked where the session is
	Follow   // * client: S1 has said that S2 has it: SWITCHED once more
)

var dos = [...]string{"", "send", "wake", "end", "capture", "commit", "undo", "discard", "hold", "restore", "live", "drop", "begin", "switch", "fall back", "return", "seek", "follow"}

func (d Do) String() string {
	if d == 0 || int(d) >= len(dos) {
		return fmt.Sprintf("do %d", uint8(d))
	}
	return dos[d]
}

// Effect is one of them.
type Effect struct {
	Do    Do
	Msg   Kind          // of Send
	After time.Duration // of Wake
	Why   string        // of End, and of a Never, Abort, Refuse or first Stay that is sent
}

func (e Effect) String() string {
	switch e.Do {
	case Send:
		return e.Msg.String()
	case Wake:
		return fmt.Sprintf("wake in %v", e.After)
	}
	return e.Do.String()
}

// Timing is how long is waited for what.
type Timing struct {
	Retry time.Duration // between repetitions of a segment
	Tries int           // of MIGRATE_REQUEST, before the client stays
	Holds int           // of MIGRATE_REPLY, before S2 gives up; more than Tries
	Stays int           // of Stay
	Step  time.Duration // S1 and S2 for one step of the other
	Doubt time.Duration // S1 for news of a session that may be elsewhere
}

// Defaults suit networks of any size; a state reply of megabytes fits into Tries.
var Defaults = Timing{Retry: 200 * time.Millisecond, Tries: 15, Holds: 50, Stays: 5, Step: 10 * time.Second, Doubt: 5 * time.Minute}

func say(k Kind) Effect                { return Effect{Do: Send, Msg: k} }
func sayWhy(k Kind, why string) Effect { return Effect{Do: Send, Msg: k, Why: why} }
func wake(after time.Duration) Effect  { return Effect{Do: Wake, After: after} }
func end(why string) Effect            { return Effect{Do: End, Why: why} }
func do(d Do) Effect                   { return Effect{Do: d} }
func all(e ...Effect) []Effect         { return e }
func because(why, otherwise string) string {
	if why == "" {
		return otherwise
	}
	return why
}
