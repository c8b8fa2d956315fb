// SPDX-License-Identifier: Apache-2.0

package salvage

import (
	"errors"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
)

// The sessions of a machine are its heir's, or anybody's where the fence names none.
func TestInherits(t *testing.T) {
	one, two := backdoor.HeirOf("rn1"), backdoor.HeirOf("rn2")
	machine := bdtest.New(bdtest.WithFence(), bdtest.WithKey(slot, key))
	target, err := backdoor.Open(t.Context(), machine.Memory())
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, may ...backdoor.Heir) {
		t.Helper()
		for _, h := range []backdoor.Heir{0, one, two} {
			ours := false
			for _, m := range may {
				ours = ours || m == h
			}
			var other *backdoor.HeirError
			if err := Inherits(t.Context(), target, h); errors.As(err, &other) == ours || err != nil && other == nil {
				t.Errorf("%s, %v: %v", when, h, err)
			}
		}
	}
	fence := func(o backdoor.FenceOptions) {
		t.Helper()
		o.Slot, o.Key = slot, key
		if err := target.Fence(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	check("nobody has fenced it", 0, one, two)
	fence(backdoor.FenceOptions{})
	check("for nobody", 0, one, two)
	fence(backdoor.FenceOptions{Heir: one})
	check("for one", one)
	fence(backdoor.FenceOptions{Heir: two, Supersedes: one})
	check("superseded", two)
	if target, err = backdoor.Open(t.Context(), bdtest.New().Memory()); err != nil {
		t.Fatal(err)
	}
	check("without such a fence", 0, one, two)
}
