// SPDX-License-Identifier: Apache-2.0

package party

import "fmt"

// TargetState is S2's.
type TargetState uint8

// S2's states.
const (
	Fresh     TargetState = iota
	Waiting               // for S1's state reply
	Restoring             // it is being put in place
	Holding               // all is there, the word is not
	Living                // the word has come
	Served                // it serves
	Dropped               // it does not and never will
)

func (s TargetState) String() string {
	if s > Dropped {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return [...]string{"FRESH", "WAITING", "RESTORING", "HOLDING", "LIVING", "SERVED", "DROPPED"}[s]
}

// Target is S2 in one move.
type Target struct {
	lead   Lead
	t      Timing
	state  TargetState
	holds  int
	broken string
}

// NewTarget makes one for a move that has just been asked for: by a client's
// MIGRATE_REQUEST, or by S1's Propose, which its driver finds acceptable.
func NewTarget(l Lead, t Timing) *Target { return &Target{lead: l, t: t} }

// State is where it stands.
func (t *Target) State() TargetState { return t.state }

// Unknown is what S2 answers to Query or Go about a move that it knows nothing
// of: noted says that an earlier daemon let it live.
func Unknown(noted bool) Kind {
	if noted {
		return Moved
	}
	return Never
}

// Step takes an event.
func (t *Target) Step(e Event) []Effect {
	switch t.state {
	case Fresh:
		return t.fresh(e)
	case Waiting:
		return t.waiting(e)
	case Restoring:
		return t.restoring(e)
	case Holding:
		return t.holding(e)
	case Living:
		return t.living(e)
	case Served:
		return t.served(e)
	}
	return t.dropped(e)
}

func (t *Target) fresh(e Event) []Effect {
	switch {
	case e.Kind == Request && t.lead == ByClient:
		t.state = Waiting
		return all(do(Hold), say(Ask), wake(t.t.Step))
	case e.Kind == Propose && t.lead == BySource:
		t.state = Waiting
		return all(say(Accept), wake(t.t.Step))
	}
	return nil
}

func (t *Target) waiting(e Event) []Effect {
	switch e.Kind {
	case State:
		t.state = Restoring
		return all(do(Restore))
	case Abort, Lost, Timer:
		return t.drop(e.why())
	}
	return nil
}

func (t *Target) restoring(e Event) []Effect {
	switch e.Kind {
	case Abort:
		t.broken = e.why()
	case Lost:
		if t.lead == BySource {
			t.broken = e.why()
		}
	case Failed:
		return t.drop(e.Why)
	case Done:
		if t.broken != "" {
			return t.drop(t.broken)
		}
		t.state = Holding
		if t.lead == BySource {
			return all(say(Ready), wake(t.t.Step))
		}
		return all(say(Ready), say(Reply), wake(t.t.Retry))
	}
	return nil
}

func (t *Target) holding(e Event) []Effect {
	switch e.Kind {
	case Abort:
		return t.drop(e.why())
	case Go, Ack:
		if (e.Kind == Ack) == (t.lead == ByClient) {
			t.state = Living
			return all(do(Live))
		}
	case Lost: // a client that has switched is not to be left alone for that
		if t.lead == BySource {
			return t.drop(e.why())
		}
	case Request:
		return all(say(Reply))
	case Timer:
		t.holds++
		if t.lead == BySource || t.holds >= t.t.Holds {
			return t.drop("the word did not come")
		}
		return all(say(Reply), wake(t.t.Retry))
	}
	return nil
}

func (t *Target) living(e Event) []Effect {
	switch e.Kind {
	case Done:
		t.state = Served
		return all(say(Moved), end(""))
	case Failed:
		return t.drop(e.Why)
	}
	return nil // a Query is answered by what comes of it
}

func (t *Target) served(e Event) []Effect {
	if e.Kind == Query || e.Kind == Go {
		return all(say(Moved))
	}
	return nil
}

func (t *Target) dropped(e Event) []Effect {
	switch e.Kind {
	case Query, Go, State:
		return all(say(Never))
	case Ack, Request:
		return all(say(Refuse))
	}
	return nil
}

func (t *Target) drop(why string) []Effect {
	t.state = Dropped
	out := all(do(Drop), sayWhy(Never, why))
	if t.lead == ByClient {
		out = append(out, sayWhy(Refuse, why))
	}
	return append(out, end(why))
}
