// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestScenarios plays the stories in testdata: monitors, the targets' places,
// and what happens to them.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenario", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "fleet" {
				w = storyWorld(t, d)
				return ""
			}
			out, err := w.command(t, d)
			if err != nil {
				t.Fatalf("%s: %v", d.Pos, err)
			}
			if len(w.broken) > 0 {
				t.Errorf("%s: %s", d.Pos, strings.Join(w.broken, "\n"))
			}
			return out
		})
	})
}

// fleet monitors=(a,b) targets=(t1) lease=1s [leased] [failback] [told]; then
// lines "target: order" for targets with an order of their own.
func storyWorld(t *testing.T, d *datadriven.TestData) *world {
	cfg := Config{Lease: time.Second, Settle: 2 * time.Second}
	leased := d.HasArg("leased")
	cfg.Failback = d.HasArg("failback")
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "monitors":
			cfg.Monitors = a.Vals
		case "targets":
			for _, name := range a.Vals {
				cfg.Targets = append(cfg.Targets, Target{Name: name})
			}
		}
	}
	for _, l := range strings.Fields(d.Input) {
		name, order, _ := strings.Cut(l, ":")
		for i := range cfg.Targets {
			if cfg.Targets[i].Name == name {
				cfg.Targets[i].Order = strings.Split(order, ",")
			}
		}
	}
	return newWorld(cfg, leased)
}

func (w *world) command(t *testing.T, d *datadriven.TestData) (string, error) {
	arg := func(i int) string { return d.CmdArgs[i].Key }
	switch d.Cmd {
	case "run":
		v, err := time.ParseDuration(arg(0))
		if err != nil {
			return "", err
		}
		w.run(v)
	case "start":
		for _, a := range d.CmdArgs {
			w.node(a.Key).start()
		}
	case "kill":
		w.node(arg(0)).kill()
	case "pause":
		w.node(arg(0)).paused = true
	case "resume":
		w.node(arg(0)).resume()
	case "leave":
		w.node(arg(0)).step(Leave{})
	case "path": // path monitor target failed
		var p Path
		if err := p.UnmarshalText([]byte(arg(2))); err != nil {
			return "", err
		}
		w.node(arg(0)).setPath(arg(1), p)
	case "part", "join":
		for _, pair := range [][2]string{{arg(0), arg(1)}, {arg(1), arg(0)}} {
			w.parted[pair] = d.Cmd == "part"
		}
	case "busy":
		w.node(arg(0)).step(Busy{arg(1), true})
	case "done":
		w.node(arg(0)).step(Busy{arg(1), false})
	case "verdict": // verdict b a: b reads in a's Sensor Box that it is dead
		w.node(arg(0)).step(Gone{arg(1), "its Sensor Box has stopped"})
	case "order": // order b t1 b,a: b's configuration says so, and b starts again
		n := w.node(arg(0))
		n.kill()
		for i := range n.cfg.Targets {
			if n.cfg.Targets[i].Name == arg(1) {
				n.cfg.Targets[i].Order = d.CmdArgs[2].Vals
			}
		}
		n.start()
	case "means": // means b t1 other: b's t1 is another machine
		w.node(arg(0)).step(Link{arg(1), PathGood, arg(2)})
	case "status":
		return w.status(arg(0)), nil
	default:
		return "", fmt.Errorf("unknown command %s", d.Cmd)
	}
	said := w.said
	w.said = nil
	return strings.Join(said, "\n"), nil
}

func (w *world) status(name string) string {
	n := w.node(name)
	var b strings.Builder
	for _, s := range n.m.Status(n.clock()) {
		fmt.Fprintf(&b, "%s: owner %q epoch %d, %s here, path %s", s.Target, s.Owner, s.Epoch, s.Phase, s.Path)
		if s.Why != "" {
			fmt.Fprintf(&b, " (%s)", s.Why)
		}
		b.WriteByte('\n')
		for _, c := range s.Monitors {
			fmt.Fprintf(&b, "  %s alive %v path %s\n", c.Monitor, c.Alive, c.Path)
		}
		for _, c := range s.Conflicts {
			fmt.Fprintf(&b, "  conflict: %s\n", c)
		}
	}
	for _, p := range n.m.Peers(n.clock()) {
		fmt.Fprintf(&b, "peer %s alive %v %s\n", p.Monitor, p.Alive, p.Why)
	}
	return b.String()
}
