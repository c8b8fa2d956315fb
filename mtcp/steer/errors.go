// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
)

// What a caller may ask for with errors.Is.
var (
	ErrUnsupported = errors.New("this kernel cannot do it")
	ErrNoSession   = errors.New("no session of this flow")
	ErrNoSocket    = errors.New("no connection of this flow here")
	ErrTaken       = errors.New("the flow belongs to another session")
	ErrState       = errors.New("the session is in another state")
	ErrFull        = errors.New("there is no room for another one")
)

// UnsupportedError names what a kernel lacks.
type UnsupportedError struct {
	What  string
	Since string // the version that has it
	Err   error
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: not in this kernel (since Linux %s): %v", e.What, e.Since, e.Err)
}

// Is makes it an ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

func (e *UnsupportedError) Unwrap() error { return e.Err }

// StateError is an operation on a session that is in no state for it.
type StateError struct {
	Flow  Flow
	State State
	Op    string
}

func (e *StateError) Error() string { return fmt.Sprintf("%s %s: it is %s", e.Op, e.Flow, e.State) }

// Is makes it an ErrState.
func (e *StateError) Is(target error) bool { return target == ErrState }
