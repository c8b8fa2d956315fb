// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"testing"

	"lazystate/tools/control"
)

// The timer of a hold that was given back in the same moment leaves the next alone.
func TestLateTimerEndsNoOtherHold(t *testing.T) {
	next := &hold{}
	w := &watch{held: next}
	if err := w.end(&hold{}, "its time is over"); !errors.Is(err, control.ErrFalse) || w.held != next {
		t.Errorf("%v, held %p of %p", err, w.held, next)
	}
}
