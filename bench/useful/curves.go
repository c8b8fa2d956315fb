// SPDX-License-Identifier: Apache-2.0

package useful

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// Config is one figure.
type Config struct {
	Name   string // of the figure and the VM
	About  string // one line for --help
	Title  string
	X      string
	Lab    lab.Config
	Limits string        // of the module
	Drill  *drill.Drill  // what bdmon is to heal
	Window time.Duration // watched from the release of the rogues on
	Sizes  Sizes
	Notes  []string
	Curves []Curve

	window  time.Duration // as the flags say
	monitor string        // bdmon
}

// Curve is one kind of rogue program.
type Curve struct {
	Name    string
	Program func(n int) drill.Program
}

// Program is the bench of the figure.
func (c Config) Program() *trial.Program {
	return &trial.Program{
		Name: c.Name, About: c.About, Runs: 3, Timeout: 45 * time.Minute, Window: c.Window,
		Flags:   func(fs *flag.FlagSet) { fs.Var(&c.Sizes, "sizes", "numbers of processes, separated by commas") },
		Takes:   func(o *trial.Options) time.Duration { return c.takes(o) },
		Measure: c.measure,
	}
}

// Calibrated is about how long Start takes.
const Calibrated = 3*time.Second + alone

// takes: each point is a window and what it takes to be well again.
func (c *Config) takes(o *trial.Options) time.Duration {
	const recovery = 10 * time.Second
	points := time.Duration(2 * len(c.Sizes) * o.Runs)
	return time.Duration(len(c.Curves)) * (trial.Boot + Calibrated + points*(o.Window+recovery))
}

// measure measures each curve without and with repair, on a machine of its own.
func (c *Config) measure(ctx context.Context, o *trial.Options) (*result.Figure, error) {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if c.monitor, err = guest.Monitor(ctx); err != nil {
		return nil, err
	}
	c.Lab.Files, c.window = files, o.Window
	fig := c.figure(o)
	for _, curve := range c.Curves {
		if err := measure(ctx, o, fig, *c, curve); err != nil {
			return nil, fmt.Errorf("%s: %w", curve.Name, err)
		}
	}
	return fig, nil
}

// figure has the paper's points, which are the same for processes and memory.
func (c *Config) figure(o *trial.Options) *result.Figure {
	fig := &result.Figure{
		Title: c.Title, X: c.X, Y: "s for one iteration", LogY: true,
		Columns: []string{"iterations that ended", "first repair ended after s", "killed"},
	}
	most := float64(slices.Max(c.Sizes))
	fig.Paper("paper: alone and with repair", 0, 5)
	fig.Paper("paper: alone and with repair", most, 5)
	fig.Paper("paper: no repair, at least", most, 1800)
	fig.Notef("each point: all iterations that began after the release and ended within %v of it, and the one under way then, if it has taken longer", o.Window)
	fig.Notef("repaired: by bdmon, a process of its own, as the drills run it; \"alone\", \"no repair\" and \"repaired\" of one curve are of one machine and one boot")
	for _, n := range c.Notes {
		fig.Notef("%s", n)
	}
	return fig
}

func measure(ctx context.Context, o *trial.Options, fig *result.Figure, c Config, curve Curve) (err error) {
	g, err := guest.Boot(ctx, o, guest.Config{Name: c.Name, Lab: c.Lab, Params: []string{"allow_repair=1", "limits=" + c.Limits}, Reader: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	fig.Machine = g.Machine()
	if err := g.GiveKey(ctx); err != nil {
		return err
	}
	p, err := Start(ctx, g)
	if err != nil {
		return err
	}
	defer p.Stop()
	o.Logf("%s: the useful program alone takes %v", curve.Name, p.Ideal.Median().Round(time.Millisecond))
	fig.Add("ours: "+curve.Name+", alone", 0, seconds(p.Ideal), fmt.Sprint(len(p.Ideal)))
	for _, n := range c.Sizes {
		for _, repair := range []bool{false, true} {
			if err := point(ctx, o, fig, c, curve, g, p, n, repair); err != nil {
				return fmt.Errorf("%d processes, repair %v: %w", n, repair, err)
			}
		}
	}
	return nil
}

// point adds one x of one line: all iterations of all runs.
func point(ctx context.Context, o *trial.Options, fig *result.Figure, c Config, curve Curve, g *guest.Guest, p *Program, n int, repair bool) error {
	line := "ours: " + curve.Name + ", no repair"
	if repair {
		line = "ours: " + curve.Name + ", repaired"
	}
	var sum outcome
	for range o.Runs {
		one, err := beside(ctx, g, p, c, curve.Program(n), repair)
		if err != nil {
			return err
		}
		sum.add(one)
	}
	o.Logf("%s, %d: median %.2f s, %d iterations ended, killed %d, first repair after %v", line, n,
		result.Median(sum.seconds), sum.ended, sum.killed, sum.healed.Round(time.Millisecond))
	healed := ""
	if sum.healed > 0 {
		healed = fmt.Sprintf("%.3g", sum.healed.Seconds())
	}
	fig.Add(line, float64(n), sum.seconds, fmt.Sprint(sum.ended), healed, fmt.Sprint(sum.killed))
	return nil
}

func seconds(s drill.Iterations) []float64 {
	var all []float64
	for _, it := range s {
		all = append(all, it.Took.Seconds())
	}
	return all
}
