// SPDX-License-Identifier: Apache-2.0

package party

import "testing"

// A client that has given S2 its word does not go back because S2, which may have it, is
// silent for as long as S2 itself would have waited.
func TestSwitchedIsPatient(t *testing.T) {
	c := ResumeClient(timing, true)
	c.Step(Event{Kind: Start})
	waits := 0
	for c.State() == Switched && waits < 100*timing.Holds {
		c.Step(Event{Kind: Timer})
		waits++
	}
	if waits <= 2*timing.Holds || c.State() != Off {
		t.Errorf("it is %s after %d silences; S2 waits for %d", c.State(), waits, timing.Holds)
	}
}

// The first word that it stays tells why, for whoever waits for the outcome.
func TestStaySaysWhy(t *testing.T) {
	c := NewClient(timing, 1)
	c.Step(Event{Kind: Start})
	c.Step(Event{Kind: Done})
	for _, e := range c.Step(Event{Kind: Refuse, Why: "no room"}) {
		if e.Msg == Stay && e.Why == "no room" {
			return
		}
	}
	t.Error("it does not")
}
