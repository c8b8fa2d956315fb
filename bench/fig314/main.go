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
		Name: "fig314", About: "the useful program beside a pool of memory hogs, without and with repair (Figure 3.14)",
		Title: "Figure 3.14: useful program beside memory hogs", X: "memory hog processes",
		Lab: lab.Config{MemMiB: 256, SwapMiB: 128}, Limits: "OOM_KILLER_RUNNING:3", Window: 20 * time.Second, Sizes: useful.Sizes{1, 5, 10, 20, 30},
		Drill: &drill.Drill{Resource: drill.Memory, Limits: []policy.Basic{{Kind: policy.PolicyMaxRSSUID, Limit: 128 << 20}}},
		Notes: []string{
			"the paper: 1 GB of RAM, 2 GB of swap, hogs of up to 512 MB: 5 s alone, up to 5 hogs and with repair; with 30 hogs no iteration ended in 30 minutes",
			"hogs of 16 MiB that walk over their memory for ever: five fit, and take their fair share of the two processors, which alone makes an iteration three times as long",
		},
		Curves: []useful.Curve{{Name: "memory hogs", Program: pool}},
	}.Program().Exit()
}

// pool is n hogs of 16 MiB: 256 MiB of RAM, less the system, hold five without
// any swap; 30 are more than RAM and the 128 MiB of swap.
func pool(n int) drill.Program {
	return drill.Program{Args: []string{"hog-pool", strconv.Itoa(n), "16"}, UID: drill.RogueUID}
}
