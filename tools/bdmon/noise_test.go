// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/control"
)

// A hostile kernel crosses a limit and comes back at every sample: all is
// counted, little is logged, and another kind of event is told at once.
func TestNoiseDoesNotFillTheLog(t *testing.T) {
	r := newRig(t)
	r.configure(t, "")
	c := r.start(t)
	r.up(t, c)
	told := func(kind string) int { return strings.Count(r.stderr.String(), "event="+kind) }
	const enough = 5 * saidAtOnce
	value := uint64(400)
	r.eventually(t, "much noise", func() bool {
		r.SetValue(r.nprocs, value)
		value = 410 - value
		time.Sleep(20 * time.Millisecond)
		var all []control.Target
		if err := c.Call(control.Request{Cmd: "targets"}, &all); err != nil {
			t.Fatal(err)
		}
		return all[0].Events >= enough
	})
	// One more of each where a minute has passed on a busy machine.
	if n, m := told("exceeded"), told("cleared"); n > saidAtOnce+1 || m > saidAtOnce+1 || n < saidAtOnce/2 {
		t.Errorf("of %d events %d and %d were logged", enough, n, m)
	}
	r.Crash(uapi.PanicPanic, "it is over")
	r.eventually(t, "another kind", func() bool { return told("panicked") == 1 })
}
