// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/mtcp/policy"
	"lazystate/tools/control"
)

// A session is meant by as much of its name as tells it from others; an address by all that
// are there, but for what has ended; and a drain by all.
func TestChosenSessions(t *testing.T) {
	all := []session{
		{ID: "3f2a", Local: "10.0.0.1:80"}, {ID: "3f2b", Local: "10.0.0.2:80"}, {ID: "10ff", Local: "10.0.0.1:80", Ended: true}, {ID: "77aa", Local: "[fd00::1]:80"},
	}
	for _, c := range []struct {
		cmd, target string
		want        []string // nil: refused
	}{
		{"move", "3f2a", []string{"3f2a"}},
		{"move", "7", []string{"77aa"}},
		{"move", "3f", nil},
		{"move", "3", nil},
		{"move", "", nil},
		{"move", "4", nil},
		{"move", "10", []string{"10ff"}}, // which says then that it has ended
		{"move", "10.0.0.1", []string{"3f2a"}},
		{"move", "fd00::1", []string{"77aa"}},
		{"move", "10.0.0.9", nil},
		{"drain", "", []string{"3f2a", "3f2b", "77aa"}},
	} {
		out, err := chosen(all, control.Request{Cmd: c.cmd, Target: c.target})
		var got []string
		for _, s := range out {
			got = append(got, s.ID)
		}
		if d := cmp.Diff(c.want, got); d != "" || (err == nil) != (c.want != nil) {
			t.Errorf("%s %q: %v: %s", c.cmd, c.target, err, d)
		}
	}
	if out, err := chosen(nil, control.Request{Cmd: "drain"}); err != nil || len(out) > 0 {
		t.Errorf("a server that has none: %v, %v", out, err)
	}
}

// A drain sends all of them, the cheapest first; a move those that are meant, as they are.
func TestPlannedMoves(t *testing.T) {
	all := []session{{ID: "dear", Bytes: 100}, {ID: "cheap", Bytes: 1}}
	for cmd, want := range map[string][]policy.Move{
		"drain": {{Session: "cheap", To: "s2", Reason: policy.ForDrain}, {Session: "dear", To: "s2", Reason: policy.ForDrain}},
		"move":  {{Session: "dear", To: "s2", Reason: policy.ForLoad}, {Session: "cheap", To: "s2", Reason: policy.ForLoad}},
	} {
		if d := cmp.Diff(want, planned(all, control.Request{Cmd: cmd, To: "s2"})); d != "" {
			t.Errorf("%s: %s", cmd, d)
		}
	}
}
