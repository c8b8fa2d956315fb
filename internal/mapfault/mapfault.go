// SPDX-License-Identifier: Apache-2.0

package mapfault

import (
	"fmt"
	"runtime/debug"
)

// Error is an access to a page that is not there.
type Error struct {
	Addr  uintptr
	Cause string
}

func (e *Error) Error() string { return fmt.Sprintf("memory fault at %#x: %s", e.Addr, e.Cause) }

// Do runs fn and returns the fault that ended it, if one did.
func Do(fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer caught(&err)
	fn()
	return nil
}

// Copy copies src to dst, of which one is mapped; they have the same length.
func Copy(dst, src []byte) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer caught(&err)
	copy(dst, src)
	return nil
}

// caught lets any other panic go on.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case interface {
		error
		Addr() uintptr
	}:
		*err = &Error{Addr: r.Addr(), Cause: r.Error()}
	default:
		panic(r)
	}
}
