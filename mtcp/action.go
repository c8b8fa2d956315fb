// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// ActionKind is what a process does to its connection besides reading and
// writing (§2.5.3: "user-level actions (close, shutdown) during replay").
type ActionKind uint16

// The actions that are recorded. Linger is an option.
const (
	SetOption ActionKind = iota + 1
	ShutRead
	ShutWrite
	CloseBoth
)

func (k ActionKind) String() string {
	if k == 0 || k > CloseBoth {
		return fmt.Sprintf("action %d", uint16(k))
	}
	return [...]string{"", "setsockopt", "shutdown read", "shutdown write", "close"}[k]
}

// Option is a socket option with its value.
type Option struct {
	Level, Name int32
	Value       string // as setsockopt takes it
}

// Action is one of them, at an offset of what the process had written.
type Action struct {
	Kind   ActionKind
	Option Option // of SetOption
	Pos    uint64
}

func (a Action) String() string {
	if a.Kind == SetOption {
		return fmt.Sprintf("%v(%d, %d, %x) at %d", a.Kind, a.Option.Level, a.Option.Name, a.Option.Value, a.Pos)
	}
	return fmt.Sprintf("%v at %d", a.Kind, a.Pos)
}

// Actions is the record of what a process did since its last snapshot, and how
// far a replay has repeated it.
type Actions struct {
	First uint32   // number of the first action after the snapshot
	Log   []Action // from First on
	Next  uint32   // number of the one the application does next
	Size  int      // most that Log may hold
}

// NewActions begins at a snapshot taken after first actions, behind which log
// was recorded.
func NewActions(first uint32, log []Action, size int) Actions {
	return Actions{First: first, Log: log, Next: first, Size: size}
}

// Repeats reports whether x has been done before, and so is swallowed.
func (a *Actions) Repeats(x Action) (bool, error) {
	i := int(a.Next - a.First)
	if i >= len(a.Log) {
		return false, nil
	}
	if a.Log[i] != x {
		return false, &DivergedError{Where: uint64(a.Next), Was: a.Log[i].String(), Is: x.String()}
	}
	return true, nil
}

// Repeated returns the actions that the application has come past.
func (a *Actions) Repeated() []Action { return a.Log[:a.Next-a.First] }

// Full reports that only a snapshot makes room for another action.
func (a *Actions) Full() bool { return len(a.Log) >= a.Size }

// Done passes over x, which is recorded unless it was swallowed.
func (a *Actions) Done(x Action) {
	if int(a.Next-a.First) == len(a.Log) {
		a.Log = append(a.Log, x)
	}
	a.Next++
}

// Export is a snapshot taken here.
func (a *Actions) Export() {
	if a.First != a.Next {
		a.Log = append([]Action(nil), a.Log[a.Next-a.First:]...)
		a.First = a.Next
	}
}

// InForce returns the options that hold after the actions of a log.
func InForce(options []Option, log []Action) []Option {
	out := append([]Option(nil), options...)
	for _, a := range log {
		if a.Kind != SetOption {
			continue
		}
		i := 0
		for i < len(out) && (out[i].Level != a.Option.Level || out[i].Name != a.Option.Name) {
			i++
		}
		if i == len(out) {
			out = append(out, Option{})
		}
		out[i] = a.Option
	}
	return out
}

// EndsWriting reports whether the actions of a log close the sending half.
func EndsWriting(log []Action) bool {
	for _, a := range log {
		if a.Kind == ShutWrite || a.Kind == CloseBoth {
			return true
		}
	}
	return false
}
