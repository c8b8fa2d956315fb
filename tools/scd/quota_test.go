// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// Sessions that are beyond a quota of the server they are to go to stay where they
// are, all of them, and the operator is told which limit it is.
func TestOverQuotaStays(t *testing.T) {
	w := &world{t: t, names: []string{"s1", "s2"}, more: func(s *site, cfg map[string]any) {
		if s.name == "s2" {
			cfg["quota"] = map[string]any{"sessions": 1}
		}
	}}
	w.build(false)
	one, another := w.idle(), w.idle()
	s1, s2 := w.sites["s1"], w.sites["s2"]
	s1.await("both sessions", func() bool { return len(s1.ls()) == 2 })
	if err := s1.ctl("move", "--to", "s2", w.addr.String()); err == nil || !strings.Contains(err.Error(), "at most 1 sessions of one user") {
		t.Errorf("both: %v", err)
	}
	if n := len(s1.ls()); n != 2 || !w.has("s1") {
		t.Errorf("s1 has %d sessions, the address is there: %t", n, w.has("s1"))
	}
	one()
	s1.await("its end", func() bool { return len(s1.ls()) == 1 })
	if m := w.move(); m.Sessions != 1 {
		t.Errorf("the other: %+v", m)
	}
	another()
	s2.await("its end", func() bool { return len(s2.ls()) == 0 })
}
