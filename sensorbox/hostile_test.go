// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"testing"
	"time"

	"lazystate/backdoor/uapi"
)

// A box whose records get new names and numbers with every sample, without a
// generation that says so, and a user who does the same with its page: what
// the detector remembers of them stays bounded, for it watches others too.
func TestRenumberedRecordsAreForgotten(t *testing.T) {
	for name, user := range map[string]bool{"kernel": false, "a user, unwatched": true} {
		renumber(t, name, user, nil)
	}
	renumber(t, "a user, watched", true, map[string]Rule{"1000/x": {}})
}

func renumber(t *testing.T, name string, user bool, rules map[string]Rule) {
	t.Helper()
	const most = mostRecords + uapi.UserPages*uapi.UserCapacity
	var kernel, page fakeBox
	kernel.add("tick", Progress, 1e6, Clock)
	scribbled := &kernel
	if user {
		scribbled = &page
	}
	for range uapi.UserCapacity {
		scribbled.add("x", Level, 1, 0)
	}
	det, view := NewDetector(Config{Period: 10 * time.Millisecond, Rules: rules}), &View{}
	for i := range 200 {
		for j := range scribbled.records {
			if r := &scribbled.records[j]; uapi.CString(r.Name[:]) != "tick" {
				r.ID = uint32(1000 + i*uapi.UserCapacity + j)
			}
		}
		kernel.sensor("tick").Value++
		var users []byte
		if user {
			users = page.encodeUsers(1000)
		}
		if err := view.Decode(kernel.encode(boxSize), users); err != nil {
			t.Fatal(err)
		}
		at := time.Duration(i) * 10 * time.Millisecond
		det.Step(Input{Start: at, End: at, Outcome: Answered, View: view}, nil)
	}
	if n := len(det.states); n > most {
		t.Errorf("%s: %d sensors are remembered of the %d that there can be", name, n, most)
	}
	if det.states[Key{0, kernel.sensor("tick").ID}] == nil {
		t.Errorf("%s: the sensor that is there was forgotten", name)
	}
}
