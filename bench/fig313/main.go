// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"time"

	"lazystate/bench/useful"
	"lazystate/repair/drill"
	"lazystate/repair/policy"
	"lazystate/tools/lab"
)

func main() {
	useful.Config{
		Name: "fig313", About: "the useful program beside a fork bomb, without and with repair (Figure 3.13)",
		Title: "Figure 3.13: useful program beside a fork bomb", X: "processes of the bomb",
		Lab: lab.Config{SwapMiB: 256}, Limits: "NPROCS:40,NTHREADS:250,MAXPROCRATE_PERUID:60", Window: 10 * time.Second, Sizes: useful.Sizes{50, 100, 200, 400},
		Drill: &drill.Drill{Resource: drill.Processes, Limits: []policy.Basic{{Kind: policy.PolicyTooManyProcs, Limit: 30}}},
		Notes: []string{"the paper: 5 s alone and with repair; without, it \"grows unbounded\", at about 400 processes no iteration ended in 30 minutes"},
		Curves: []useful.Curve{
			{Name: "CPU bomb", Program: bomb("bomb-cpu")},
			{Name: "I/O bomb", Program: bomb("bomb-io")},
		},
	}.Program().Exit()
}

func bomb(name string) func(int) drill.Program {
	return func(n int) drill.Program {
		return drill.Program{Args: []string{name, strconv.Itoa(n)}, UID: drill.RogueUID}
	}
}
