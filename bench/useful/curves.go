// SPDX-License-Identifier: Apache-2.0

package useful

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// Config is one figure.
type Config struct {
	Name     string // of the VM
	Lab      lab.Config
	Resource drill.Resource
	Window   time.Duration // watched from the release of the rogues on
	Curves   []Curve
}

// Curve is one kind of rogue program.
type Curve struct {
	Name    string
	Program func(n int) drill.Program
	Sizes   []int
}

// Columns of the figure; the caller sets them before it adds points of the paper.
var Columns = []string{"iterations that ended", "first repair ended after s", "killed"}

// Curves measures each curve without and with repair, on a machine of its own.
func Curves(ctx context.Context, o *trial.Options, fig *result.Figure, c Config) error {
	files, done, err := guest.Arsenal(ctx)
	if err != nil {
		return err
	}
	defer done()
	c.Lab.Files = files
	for _, curve := range c.Curves {
		if err := measure(ctx, o, fig, c, curve); err != nil {
			return fmt.Errorf("%s: %w", curve.Name, err)
		}
	}
	return nil
}

func measure(ctx context.Context, o *trial.Options, fig *result.Figure, c Config, curve Curve) (err error) {
	g, err := guest.Boot(ctx, o, guest.Config{Name: c.Name, Lab: c.Lab, Params: []string{"allow_repair=1", Limits}})
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
	for _, n := range curve.Sizes {
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
