// SPDX-License-Identifier: Apache-2.0

package dsm

import (
	"strings"
	"testing"
)

// Every wait names what it waits for.
func TestWaiting(t *testing.T) {
	for _, tc := range []struct {
		self NodeID
		in   []Input
		want string
	}{
		{0, nil, ""},
		{1, []Input{Begin{Op{Kind: Acquire, ID: 0}}}, "lock 0, asked for at its manager P0"},
		{0, []Input{Begin{Op{Kind: Barrier, ID: 7}}}, "barrier 7: those at or below [P1 P2]"},
		{1, []Input{Begin{Op{Kind: Barrier, ID: 7}}}, "barrier 7: the word of P0"},
		{1, []Input{Fault{Page: 0}}, "page 0: where its home is, of P0"},
		{1, []Input{Fault{Page: 2}}, "page 2 of version <0 0 0>, of its home P2"},
		{1, []Input{Begin{Op{Kind: CondEnter, ID: 2}}}, "cond-enter(2), of its manager P2"},
		{1, []Input{Begin{Op{Kind: Place, ID: 0}}}, "the home of page 0, of P0"},
		{1, []Input{Begin{Op{Kind: Release, ID: 0}}}, "nothing: refused: release lock 0"},
	} {
		cfg := Config{Self: tc.self, Nodes: 3, Pages: 3, PageSize: 8, Locks: 1, Conds: 3, Home: func(p Page) (NodeID, bool) { return 2, p == 2 }}
		n := New(cfg, newMemory(cfg))
		for _, in := range tc.in {
			n.Step(in)
		}
		if got := n.Waiting(); !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%+v: %q, not %q", tc.in, got, tc.want)
		}
	}
	cfg := Config{Nodes: 3, Pages: 3, PageSize: 8}
	n, _ := Restart(cfg, newMemory(cfg), nil, nil, 2)
	n.Step(Begin{Op{Kind: Barrier}})
	if got := n.Waiting(); got != "its recovery: no word of P1, P2" {
		t.Error(got)
	}
}
