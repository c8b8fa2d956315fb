// SPDX-License-Identifier: Apache-2.0

package party

import (
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestScenarios plays the stories in testdata, drawn as Figure 2.7.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "world" { // world by-client S2 S3
				var servers []string
				for _, a := range d.CmdArgs[1:] {
					servers = append(servers, a.Key)
				}
				w = newWorld(map[string]Lead{"by-client": ByClient, "by-source": BySource}[d.CmdArgs[0].Key], servers...)
				return ""
			}
			w.log = nil
			arg := ""
			if len(d.CmdArgs) > 0 {
				arg = d.CmdArgs[0].Key
			}
			w.command(t, d.Cmd, arg)
			return strings.Join(append(w.log, w.state()), "\n") + "\n"
		})
	})
}

func (w *world) command(t *testing.T, cmd, arg string) {
	t.Helper()
	switch cmd {
	case "start":
		w.start()
	case "done": // what is under way ends
		for n := len(w.pending); n > 0; n-- {
			f := w.pending[0]
			w.pending = w.pending[1:]
			f()
		}
	case "deliver": // the oldest letter to somebody
		l, ok := w.take(arg)
		if !ok {
			t.Fatalf("nothing is on its way to %s", arg)
		}
		w.deliver(l)
	case "lose":
		l, ok := w.take(arg)
		if !ok {
			t.Fatalf("nothing is on its way to %s", arg)
		}
		w.note("%s, lost", l)
	case "timer":
		if _, ok := w.timers[arg]; !ok {
			t.Fatalf("%s has no timer", arg)
		}
		w.fireAny(arg)
	case "cut", "mend":
		w.link(arg, cmd == "mend")
	case "kill":
		if arg == c {
			w.killAgent()
			return
		}
		w.kill(arg)
	case "restart":
		w.restart(arg)
	case "hear":
		if !w.hear() {
			t.Fatal("there is nothing to be heard")
		}
		w.note("S2's first segment")
	case "tire":
		if !w.tire() {
			t.Fatal("the client waits for nothing")
		}
	case "seek":
		if !w.seek() {
			t.Fatal("S1 does not know, or is not asked")
		}
	case "rest": // all that is left, without any trouble
		for w.restOne() {
		}
	default:
		t.Fatalf("command %s", cmd)
	}
}

// take takes the oldest letter to somebody away.
func (w *world) take(to string) (letter, bool) {
	for i, l := range w.wire {
		if l.to == to {
			w.wire = slices.Delete(slices.Clone(w.wire), i, i+1)
			return l, true
		}
	}
	for _, from := range []string{s1, s2, s3} {
		if q := w.chans[from+to]; len(q) > 0 {
			w.chans[from+to] = q[1:]
			return q[0], true
		}
	}
	return letter{}, false
}

func (w *world) restOne() bool {
	if len(w.pending) > 0 {
		f := w.pending[0]
		w.pending = w.pending[1:]
		f()
		return true
	}
	for _, to := range []string{s1, s2, s3, c} {
		if l, ok := w.take(to); ok {
			w.deliver(l)
			return true
		}
	}
	return w.hear()
}
