// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// threadsToo: nice and class are the process's, and so each of its threads'.
func (k *loaded) threadsToo(t *testing.T, hooks *backdoor.Hooks) {
	t.Helper()
	const more = 100
	pid := k.start(t, lab.Proc{Argv: []string{guestProgram(t, k.vm, "drive"), "threads", fmt.Sprint(more)}})
	status := fmt.Sprintf("/proc/%d/status", pid)
	for end := time.Now().Add(time.Minute); k.word(t, status, "Threads") != fmt.Sprint(more+1); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s threads of %d", k.word(t, status, "Threads"), more+1)
		}
	}
	p := k.leader(t, pid)
	for _, c := range []struct {
		knob  uint32
		value int64
		want  string
	}{
		{uapi.KnobNice, 7, "7 0 0"},
		{uapi.KnobSchedFIFO, 0, "7 1 1"},
		{uapi.KnobSchedNormal, -5, "-5 0 0"},
	} {
		_, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: c.knob, Arg: p.PID, StartTime: p.StartTime, Value: c.value})
		if err != nil {
			t.Errorf("%s: %v", uapi.KnobName(c.knob), err)
		}
		if got := k.schedOfThreads(t, pid); got[c.want] != more+1 {
			t.Errorf("%s: threads by nice, priority, policy %v, want %d of %q", uapi.KnobName(c.knob), got, more+1, c.want)
		}
	}
}

// schedOfThreads counts threads by what schedOf says of one.
func (k *loaded) schedOfThreads(t *testing.T, pid int) map[string]int {
	t.Helper()
	out, err := k.vm.Must(t.Context(), "/bin/busybox", "sh", "-c", fmt.Sprintf("cat /proc/%d/task/*/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(out) {
		_, rest, _ := strings.Cut(line, ") ")
		f := strings.Fields(rest) // from the third on
		count[strings.Join([]string{f[19-3], f[40-3], f[41-3]}, " ")]++
	}
	return count
}
