// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"slices"
	"testing"
)

// What a program did by itself counts as if it had been begun, and makes no effects.
func TestAlone(t *testing.T) {
	cfg := Config{Nodes: 2, Pages: 1, PageSize: 8, Locks: 3}
	n := New(cfg, newMemory(cfg))
	take, give := Op{Kind: Acquire}, Op{Kind: Release}
	if effects := n.Step(Begin{take}); !slices.Contains(effects, Effect(Token{0, true})) {
		t.Errorf("effects %v", effects)
	}
	if effects := n.Step(Alone{[]Op{give, take, give, take}}); len(effects) > 0 || n.Ordinal() != 5 {
		t.Errorf("%d operations, effects %v", n.Ordinal(), effects)
	}
	effects := n.Step(Begin{give})
	if n.Ordinal() != 6 || !slices.Contains(effects, Effect(Done{give})) {
		t.Errorf("%d operations, effects %v", n.Ordinal(), effects)
	}
}

// What no program can have done by itself ends the node.
func TestNotAlone(t *testing.T) {
	cfg := Config{Nodes: 2, Pages: 1, PageSize: 8, Locks: 3}
	for what, ops := range map[string][]Op{
		"a lock whose token is elsewhere": {{Kind: Acquire, ID: 1}},
		"one that nobody was told of":     {{Kind: Acquire, ID: 2}},
		"a lock that there is not":        {{Kind: Acquire, ID: 3}},
		"a lock that is held":             {{Kind: Acquire}, {Kind: Acquire}},
		"a release of what is free":       {{Kind: Release}},
		"a barrier":                       {{Kind: Barrier}},
	} {
		n := New(cfg, newMemory(cfg))
		n.Step(Begin{Op{Kind: Acquire}})
		n.Step(Begin{Op{Kind: Release}})
		effects := n.Step(Alone{ops})
		if _, refused := effects[len(effects)-1].(Refuse); !refused || n.Live() {
			t.Errorf("%s: %v", what, effects)
		}
	}
	n := New(cfg, newMemory(cfg))
	n.Step(Begin{Op{Kind: Acquire}})
	n.Step(Begin{Op{Kind: Release}})
	n.Step(Begin{Op{Kind: Barrier}})
	n.Step(Alone{[]Op{{Kind: Acquire}, {Kind: Release}}})
	if n.Live() {
		t.Error("in the midst of a barrier")
	}
}
