// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/bench/useful"
	"lazystate/repair/drill"
)

func main() {
	b := bench{}
	p := trial.Program{
		Name: "peers", About: "who heals the drills: the kernel, a pids limit, earlyoom, or this project", Runs: 3, Timeout: 4 * time.Hour, Window: 3 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&b.only, "only", "", "peers, separated by commas (default: all)")
			fs.StringVar(&b.names, "drills", "forkbomb-cpu,memhog", "drills, separated by commas: "+strings.Join(drills, ", "))
		},
		Takes: func(o *trial.Options) time.Duration {
			machines := time.Duration(len(peers) * (1 + strings.Count(b.names, ",")) * o.Runs)
			return machines * (trial.Boot + useful.Calibrated + o.Window + 5*time.Second)
		},
		Measure: b.measure,
	}
	p.Exit()
}

// drills are those of make drill.
var drills = []string{"forkbomb-cpu", "forkbomb-io", "memhog"}

type bench struct {
	only    string
	names   string // of the drills
	drills  []string
	monitor string // bdmon
}

func (b *bench) measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if b.monitor, err = guest.Monitor(ctx); err != nil {
		return nil, err
	}
	if b.drills, err = choose(b.names); err != nil {
		return nil, err
	}
	fig := &result.Figure{
		Title: "Who heals: time from the release until the useful program runs as before", X: "drill", Y: "s",
		XNames: b.drills, Columns: []string{"healed", "rogues left", "kills of OOM killer or earlyoom", "others killed in all runs", "useful program at the end, x of alone"},
	}
	fig.Notef("a bar as high as the window (%v) is not healed within it; each run is a machine of its own, of the same window; details are of the last run, but others killed", o.Window)
	fig.Notef("healed: from the first %v in which the median of the useful program is within %.0f %% of alone, if most of what follows until the end of the window is as well", last, 100*(drill.Well-1))
	fig.Notef("others killed: processes of other users than the rogue that were there before the release and are gone at the end of the window, by whatever killed them; 0: none")
	fig.Notef("systemd-oomd not measured: it needs systemd as process 1, which tells it the cgroups to watch")
	for _, p := range peers {
		if b.only != "" && !strings.Contains(","+b.only+",", ","+p.key+",") {
			continue
		}
		for i, name := range b.drills {
			if err := b.runs(ctx, o, fig, p, i, drill.ByName(name), files); err != nil {
				return nil, fmt.Errorf("%s on %s: %w", p.name, name, err)
			}
		}
	}
	return fig, nil
}

func choose(names string) ([]string, error) {
	chosen := strings.Split(names, ",")
	for _, n := range chosen {
		if !slices.Contains(drills, n) {
			return nil, fmt.Errorf("no drill %q", n)
		}
	}
	return chosen, nil
}

// runs adds one bar: the median of o.Runs machines, with the last one's details.
func (b *bench) runs(ctx context.Context, o *trial.Options, fig *result.Figure, p peer, i int, d *drill.Drill, files map[string]string) error {
	var took []float64
	var last outcome
	var harmed []string // in any run
	healed := 0
	for range o.Runs {
		out, machine, err := b.once(ctx, o, p, d, files)
		if err != nil {
			return err
		}
		fig.Machine = machine
		o.Logf("%s, %s: %s", p.name, d.Name, out)
		seconds := o.Window.Seconds()
		if out.healed {
			healed++
			seconds = out.after.Seconds()
		}
		took, last = append(took, seconds), out
		harmed = append(harmed, out.harmed...)
	}
	fig.Add(p.name, float64(i+1), took, fmt.Sprintf("%d of %d", healed, o.Runs), fmt.Sprint(last.left), fmt.Sprint(last.kills),
		others(harmed), last.pace())
	return nil
}

// others tells who was killed, over all runs: how many, and each name with how often.
func others(harmed []string) string {
	var all []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(harmed))) {
		n := len(slices.DeleteFunc(slices.Clone(harmed), func(h string) bool { return h != name }))
		all = append(all, fmt.Sprintf("%d %s", n, name))
	}
	if len(all) == 0 {
		return "0"
	}
	return strings.Join(all, ", ")
}
