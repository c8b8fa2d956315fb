// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/repair/drill"
)

func main() {
	b := bench{}
	p := trial.Program{
		Name: "peers", About: "who heals the drills: the kernel, a pids limit, earlyoom, or this project", Runs: 1, Timeout: 60 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			fs.DurationVar(&b.window, "window", 45*time.Second, "watched time from the release on")
			fs.StringVar(&b.only, "only", "", "peers, separated by commas (default: all)")
		},
		Measure: b.measure,
	}
	p.Exit()
}

// drills are those of make drill.
var drills = []string{"forkbomb-cpu", "forkbomb-io", "memhog"}

type bench struct {
	window time.Duration
	only   string
}

func (b *bench) measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	fig := &result.Figure{
		Title: "Who heals: time from the release until the useful program runs as before", X: "drill", Y: "s",
		XNames: drills, Columns: []string{"healed", "rogues left", "kills of OOM killer or earlyoom", "others killed", "useful program at the end, x of alone"},
	}
	fig.Notef("a bar as high as the window (%v) is not healed within it", b.window)
	fig.Notef("systemd-oomd not measured: it needs systemd as process 1, which tells it the cgroups to watch")
	for _, p := range peers {
		if b.only != "" && !strings.Contains(","+b.only+",", ","+p.key+",") {
			continue
		}
		for i, name := range drills {
			if err := b.runs(ctx, o, fig, p, i, drill.ByName(name), files); err != nil {
				return nil, fmt.Errorf("%s on %s: %w", p.name, name, err)
			}
		}
	}
	return fig, nil
}

// runs adds one bar: the median of o.Runs machines, with the last one's details.
func (b *bench) runs(ctx context.Context, o *trial.Options, fig *result.Figure, p peer, i int, d *drill.Drill, files map[string]string) error {
	var took []float64
	var last outcome
	healed := 0
	for range o.Runs {
		out, machine, err := b.once(ctx, o, p, d, files)
		if err != nil {
			return err
		}
		fig.Machine = machine
		o.Logf("%s, %s: %s", p.name, d.Name, out)
		seconds := b.window.Seconds()
		if out.healed {
			healed++
			seconds = out.after.Seconds()
		}
		took, last = append(took, seconds), out
	}
	fig.Add(p.name, float64(i+1), took, fmt.Sprintf("%d of %d", healed, o.Runs), fmt.Sprint(last.left), fmt.Sprint(last.kills),
		strings.Join(last.harmed, " "), last.pace())
	return nil
}
