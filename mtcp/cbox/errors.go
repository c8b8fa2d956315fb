// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"errors"
	"fmt"
)

// What a caller may ask for with errors.Is.
var (
	ErrMigrated   = errors.New("session has migrated")
	ErrNotMovable = errors.New("connection cannot be moved")
	ErrLogFull    = errors.New("log is full")
)

// MigratedError is EMIGRATED (§2.4.3): the session goes on elsewhere, or
// another process has taken this one's place. Nothing done here counts any more.
type MigratedError struct {
	Session    ID
	Generation uint64 // that has ended here
	Replaced   bool   // by another process on this machine
}

func (e *MigratedError) Error() string {
	if e.Replaced {
		return fmt.Sprintf("session %s: another process has taken over", e.Session)
	}
	return fmt.Sprintf("session %s has migrated, generation %d is over", e.Session, e.Generation)
}

// Is makes it an ErrMigrated.
func (e *MigratedError) Is(target error) bool { return target == ErrMigrated }

// Reason is why a connection cannot be moved (DECISION 26).
type Reason string

// The reasons there are.
const (
	MPTCP    Reason = "mptcp"    // its sequence numbers are not this socket's
	ULP      Reason = "ulp"      // kTLS and the like have state of their own
	MD5      Reason = "md5"      // keys that no one can read back
	AO       Reason = "ao"       // likewise
	FastOpen Reason = "fastopen" // the handshake is not over
	Urgent   Reason = "urgent"   // TCP_REPAIR does not carry the mark
	Filter   Reason = "filter"   // the place for our own is taken
)

// NotMovableError is a connection that cannot be moved.
type NotMovableError struct{ Reason Reason }

func (e *NotMovableError) Error() string { return "connection cannot be moved: " + string(e.Reason) }

// Is makes it an ErrNotMovable.
func (e *NotMovableError) Is(target error) bool { return target == ErrNotMovable }

// LogFullError asks for an export: without one the process would wait for ever,
// or do what the box has no room to remember. Nothing is lost, the call can be
// repeated after the export.
type LogFullError struct {
	Stream string // "connection", "output held", "actions", or a channel
	Offset uint64 // up to which the process has come in it
}

func (e *LogFullError) Error() string {
	return fmt.Sprintf("log of %s is full at %d: export a snapshot", e.Stream, e.Offset)
}

// Is makes it an ErrLogFull.
func (e *LogFullError) Is(target error) bool { return target == ErrLogFull }

// SizeError is something that does not fit into its place in the box.
type SizeError struct {
	What       string
	Have, Most uint64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: %d, room for %d", e.What, e.Have, e.Most)
}

// DamagedError is a box that says what no sound box says.
type DamagedError struct{ What, Why string }

func (e *DamagedError) Error() string { return fmt.Sprintf("continuation box: %s: %s", e.What, e.Why) }

func damaged(what, why string, args ...any) error {
	return &DamagedError{what, fmt.Sprintf(why, args...)}
}
