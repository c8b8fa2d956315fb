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
	window, sizes := 40*time.Second, useful.Sizes{2, 5, 10, 20, 30}
	p := trial.Program{
		Name: "fig314", About: "the useful program beside a pool of memory hogs, without and with repair (Figure 3.14)", Runs: 1, Timeout: 40 * time.Minute,
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
		Title: "Figure 3.14: useful program beside memory hogs", X: "memory hog processes", Y: "s for one iteration", LogY: true,
	}
	fig.Columns = useful.Columns
	fig.Paper("paper: alone and with repair", 0, 5)
	fig.Paper("paper: alone and with repair", 30, 5)
	fig.Paper("paper: no repair, at least", 30, 1800)
	fig.Notef("each point: all iterations that began after the release and ended within %v of it, and the one under way then, if it has taken longer", window)
	fig.Notef("the paper: 1 GB of RAM, 2 GB of swap, hogs of up to 512 MB: 5 s alone, up to 5 hogs and with repair; with 30 hogs no iteration ended in 30 minutes")
	return fig, useful.Curves(ctx, o, fig, useful.Config{
		Name: "fig314", Lab: lab.Config{MemMiB: 256, SwapMiB: 128}, Resource: drill.Memory, Window: window,
		Curves: []useful.Curve{{Name: "memory hogs", Program: pool, Sizes: sizes}},
	})
}

// pool is n hogs of 32 MiB: 256 MiB of RAM, less the system, and 128 MiB of swap hold
// five with ease and ten hardly.
func pool(n int) drill.Program {
	return drill.Program{Args: []string{"hog-pool", strconv.Itoa(n), "32"}, UID: drill.RogueUID}
}
