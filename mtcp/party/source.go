// SPDX-License-Identifier: Apache-2.0

package party

import "fmt"

// SourceState is S1's.
type SourceState uint8

// S1's states.
const (
	Serving    SourceState = iota // nothing has happened, or it was undone
	Proposing                     // S2 has not accepted yet
	Capturing                     // the session is being frozen
	Offering                      // BySource: S2 has the state, or soon will
	Committing                    // BySource: the client's traffic is being redirected
	Doubting                      // S2 may serve: S1 waits for Moved or Never
	Left                          // it is elsewhere
	Forsaken                      // nobody has said where it is: here it is not any more
)

func (s SourceState) String() string {
	if s > Forsaken {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return [...]string{"SERVING", "PROPOSING", "CAPTURING", "OFFERING", "COMMITTING", "DOUBTING", "LEFT", "FORSAKEN"}[s]
}

// Source is S1 in one move.
type Source struct {
	lead   Lead
	t      Timing
	state  SourceState
	broken string // why Capture or Commit is to be undone when it ends
}

// NewSource makes one that serves.
func NewSource(l Lead, t Timing) *Source { return &Source{lead: l, t: t} }

// ResumeSource makes one that an earlier daemon left in doubt: it had given the
// session away, or was about to. Start it.
func ResumeSource(l Lead, t Timing) *Source { return &Source{lead: l, t: t, state: Doubting} }

// State is where it stands.
func (s *Source) State() SourceState { return s.state }

// Step takes an event. What makes no sense in a state is ignored: it is late.
func (s *Source) Step(e Event) []Effect {
	switch s.state {
	case Serving:
		return s.serving(e)
	case Proposing:
		return s.proposing(e)
	case Capturing:
		return s.capturing(e)
	case Offering:
		return s.offering(e)
	case Committing:
		return s.committing(e)
	case Doubting:
		return s.doubting(e)
	}
	return nil
}

func (s *Source) serving(e Event) []Effect {
	if e.Kind != Start {
		return nil
	}
	s.broken = ""
	if s.lead == ByClient {
		s.state = Capturing
		return all(do(Capture))
	}
	s.state = Proposing
	return all(say(Propose), wake(s.t.Step))
}

func (s *Source) proposing(e Event) []Effect {
	switch e.Kind {
	case Accept:
		s.state = Capturing
		return all(do(Capture))
	case Never, Lost, Timer:
		s.state = Serving
		return all(sayWhy(Abort, e.why()), end(e.why()))
	}
	return nil
}

func (s *Source) capturing(e Event) []Effect {
	switch e.Kind {
	case Lost, Never, Stay:
		s.broken = e.why()
	case Failed:
		s.state = Serving
		return all(sayWhy(Abort, e.Why), end(e.Why))
	case Done:
		switch {
		case s.broken != "":
			return s.undo(s.broken, true)
		case s.lead == ByClient: // from here on it is the client who decides
			s.state = Doubting
			return all(say(State), wake(s.t.Doubt))
		}
		s.state = Offering
		return all(say(State), wake(s.t.Step))
	}
	return nil
}

func (s *Source) offering(e Event) []Effect {
	switch e.Kind {
	case Ready:
		s.state = Committing
		return all(do(Commit))
	case Never:
		return s.undo(e.why(), false)
	case Lost, Timer:
		return s.undo(e.why(), true)
	}
	return nil
}

func (s *Source) committing(e Event) []Effect {
	switch e.Kind {
	case Lost, Never:
		s.broken = e.why()
	case Failed:
		return s.undo(e.Why, true)
	case Done:
		if s.broken != "" { // the word was not given
			return s.undo(s.broken, true)
		}
		s.state = Doubting
		return all(say(Go), wake(s.t.Doubt))
	}
	return nil
}

func (s *Source) doubting(e Event) []Effect {
	switch e.Kind {
	case Moved:
		s.state = Left
		return all(do(Discard), end(""))
	case Never:
		return s.undo(e.why(), false)
	case Stay:
		if s.lead == ByClient {
			return s.undo("the client stays", true)
		}
	case Linked:
		return all(say(Query))
	case Start:
		return all(say(Query), wake(s.t.Doubt))
	case Timer:
		s.state = Forsaken
		return all(do(Discard), end("no news of the session from the new server"))
	}
	return nil
}

func (s *Source) undo(why string, tell bool) []Effect {
	s.state = Serving
	out := all(do(Undo))
	if tell {
		out = append(out, sayWhy(Abort, why))
	}
	return append(out, end(why))
}

// why is a word for what came.
func (e Event) why() string {
	switch e.Kind {
	case Lost:
		return "the connection between the servers broke"
	case Timer:
		return "no answer"
	case Stay:
		return "the client stays"
	case Gone:
		return "the client's connection has ended"
	}
	return because(e.Why, e.Kind.String())
}
