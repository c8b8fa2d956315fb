// SPDX-License-Identifier: Apache-2.0

package keepertest

import "testing"

// interruptions are what happens to servers. After each, all sessions go on in
// another process than before.
var interruptions = []struct {
	name string
	do   func(*Service)
}{
	{"killed", func(s *Service) {
		s.Process().Kill()
		s.Next()
	}},
	{"replaced", func(s *Service) { s.Next().Kill() }}, // by one that is there already
	{"stopped", func(s *Service) { s.Next().Stop() }},
}

// Each runs a test once for each way in which a server can be interrupted.
func Each(t *testing.T, f func(t *testing.T, interrupt func(*Service))) {
	for _, i := range interruptions {
		t.Run(i.name, func(t *testing.T) { f(t, i.do) })
	}
}
