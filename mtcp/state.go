// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// State is a state of TCP, by the numbers of Linux (include/net/tcp_states.h).
type State uint8

// The states of RFC 9293, section 3.3.2.
const (
	Established State = iota + 1
	SynSent
	SynRecv
	FinWait1
	FinWait2
	TimeWait
	Close
	CloseWait
	LastAck
	Listen
	Closing
	NewSynRecv
)

var stateNames = [...]string{"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
	"CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"}

func (s State) String() string {
	if s == 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return stateNames[s]
}

// StateError is an endpoint that is in no state to be moved.
type StateError struct{ State State }

func (e *StateError) Error() string { return "connection in " + e.State.String() + " cannot be moved" }

// Movable reports whether an endpoint in this state can be moved: synchronised
// and not in TIME_WAIT, which "does not make sense" (§2.5.3).
func (s State) Movable() bool {
	switch s {
	case Established, FinWait1, FinWait2, CloseWait, LastAck, Closing:
		return true
	}
	return false
}

// OwnFin reports whether the endpoint has closed its sending half. Its FIN
// counts among its sequence numbers from then on, sent or not.
func (s State) OwnFin() bool {
	switch s {
	case FinWait1, FinWait2, Closing, LastAck, TimeWait:
		return true
	}
	return false
}

// OwnFinAcked reports whether the peer has acknowledged the FIN.
func (s State) OwnFinAcked() bool { return s == FinWait2 || s == TimeWait }

// PeerFin reports whether the peer's FIN has come.
func (s State) PeerFin() bool {
	switch s {
	case CloseWait, LastAck, Closing, TimeWait:
		return true
	}
	return false
}

// Event is what takes an endpoint out of ESTABLISHED: the log of transitions
// that M-TCP keeps (§2.5.3), which the state itself tells.
type Event uint8

// What happens to an endpoint in the course of its end.
const (
	Shut       Event = iota + 1 // the application closes the sending half: a FIN goes out
	FinAcked                    // the peer acknowledges it
	FinArrived                  // the peer's FIN comes
)

func (e Event) String() string {
	return [...]string{"", "shut", "fin acked", "fin arrived"}[e]
}

// After returns the state that an event leads to (RFC 9293, Figure 5).
func (s State) After(e Event) (State, error) {
	next := map[Event]map[State]State{
		Shut:       {Established: FinWait1, CloseWait: LastAck},
		FinAcked:   {FinWait1: FinWait2, Closing: TimeWait, LastAck: Close},
		FinArrived: {Established: CloseWait, FinWait1: Closing, FinWait2: TimeWait},
	}[e][s]
	if next == 0 {
		return s, fmt.Errorf("%s in %s is no transition of TCP", e, s)
	}
	return next, nil
}

// Path returns the events that bring an endpoint restored as ESTABLISHED into
// this state. FinAcked is not for the restorer to do: the client repeats its
// acknowledgement when it gets the FIN again.
func (s State) Path() ([]Event, error) {
	switch s {
	case Established:
		return nil, nil
	case CloseWait:
		return []Event{FinArrived}, nil
	case FinWait1:
		return []Event{Shut}, nil
	case FinWait2:
		return []Event{Shut, FinAcked}, nil
	case Closing: // the order matters: the peer's FIN must not acknowledge ours
		return []Event{Shut, FinArrived}, nil
	case LastAck:
		return []Event{FinArrived, Shut}, nil
	}
	return nil, &StateError{s}
}
