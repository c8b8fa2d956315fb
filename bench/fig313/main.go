// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"strconv"
	"time"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/bench/useful"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

func main() {
	window, sizes := 20*time.Second, useful.Sizes{100, 200, 400}
	p := trial.Program{
		Name: "fig313", About: "the useful program beside a fork bomb, without and with repair (Figure 3.13)", Runs: 1, Timeout: 40 * time.Minute,
		Flags: func(fs *flag.FlagSet) {
			fs.DurationVar(&window, "window", window, "watched time of each point")
			fs.Var(&sizes, "sizes", "numbers of processes, separated by commas")
		},
		Measure: func(ctx context.Context, o *trial.Options) (*result.Figure, error) {
			return measure(ctx, o, window, sizes)
		},
	}
	p.Exit()
}

func measure(ctx context.Context, o *trial.Options, window time.Duration, sizes []int) (*result.Figure, error) {
	fig := &result.Figure{
		Title: "Figure 3.13: useful program beside a fork bomb", X: "processes of the bomb", Y: "s for one iteration", LogY: true,
	}
	fig.Columns = useful.Columns
	fig.Paper("paper: alone and with repair", 0, 5)
	fig.Paper("paper: alone and with repair", 400, 5)
	fig.Paper("paper: no repair, at least", 400, 1800)
	fig.Notef("each point: all iterations that began after the release and ended within %v of it, and the one under way then, if it has taken longer", window)
	fig.Notef("the paper: 5 s alone and with repair; without, it \"grows unbounded\", at about 400 processes no iteration ended in 30 minutes")
	return fig, useful.Curves(ctx, o, fig, useful.Config{
		Name: "fig313", Lab: lab.Config{SwapMiB: 256}, Resource: drill.Processes, Window: window,
		Curves: []useful.Curve{
			{Name: "CPU bomb", Program: bomb("bomb-cpu"), Sizes: sizes},
			{Name: "I/O bomb", Program: bomb("bomb-io"), Sizes: sizes},
		},
	})
}

func bomb(name string) func(int) drill.Program {
	return func(n int) drill.Program {
		return drill.Program{Args: []string{name, strconv.Itoa(n)}, UID: drill.RogueUID}
	}
}
