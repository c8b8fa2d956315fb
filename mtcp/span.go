// SPDX-License-Identifier: Apache-2.0

package mtcp

import "fmt"

// Span is the bytes [From, To) of a stream, by offset.
type Span struct{ From, To uint64 }

// Len returns the number of bytes.
func (s Span) Len() uint64 {
	if s.To <= s.From {
		return 0
	}
	return s.To - s.From
}

// Empty reports whether there are none.
func (s Span) Empty() bool { return s.To <= s.From }

// Clip returns what s and t have in common.
func (s Span) Clip(t Span) Span {
	c := Span{max(s.From, t.From), min(s.To, t.To)}
	c.To = max(c.To, c.From)
	return c
}

func (s Span) String() string { return fmt.Sprintf("[%d,%d)", s.From, s.To) }

// Policy says how much of the buffers moves.
type Policy uint8

const (
	// Whole moves all that is buffered; what replay repeats of it is swallowed.
	Whole Policy = iota
	// Minimal moves what nobody would send again: the dissertation's choice
	// (§2.4.4: "data in [lsw, migration] can be ignored").
	Minimal
)

func (p Policy) String() string {
	if p == Minimal {
		return "minimal"
	}
	return "whole"
}

// InconsistentError is a set of positions that no run of the protocol leaves
// behind: damage, forgery, or a caller that mixed up two moments.
type InconsistentError struct {
	What       string
	Have, Want string
}

func (e *InconsistentError) Error() string {
	return fmt.Sprintf("%s: %s, not %s", e.What, e.Have, e.Want)
}

// inOrder checks a <= b.
func inOrder(what string, a, b uint64) error {
	if a <= b {
		return nil
	}
	return &InconsistentError{what, fmt.Sprint(a), fmt.Sprintf("at most %d", b)}
}

// DivergedError is a replay that does not repeat what the process did before:
// an interval that was not deterministic and not declared so (§2.4.4), or a
// snapshot that lacks part of the state (§2.6.4).
type DivergedError struct {
	Stream  bool // Where is an offset of a stream, else the number of an action
	Where   uint64
	Was, Is string
}

func (e *DivergedError) Error() string {
	what := "action"
	if e.Stream {
		what = "byte"
	}
	return fmt.Sprintf("replay diverges at %s %d: %s before, %s now", what, e.Where, e.Was, e.Is)
}
