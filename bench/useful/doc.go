// SPDX-License-Identifier: Apache-2.0

// Package useful measures a useful program beside rogue ones (Figures 3.13 and
// 3.14, §3.9.5): the wall time of its iterations against the number of rogue
// processes, without and with remote repair, on machines of the lab.
//
// bdmon heals, as a process of its own, as in the drills.
//
// The trap: on a machine that is lost no iteration ends, so a mean over those
// that ended would flatter it. The iteration under way at the end of the window
// counts with the time it has taken so far, as a lower bound.
//
//	useful.Config{
//		Name: "fig313", Lab: lab.Config{SwapMiB: 256}, Limits: "NPROCS:40", Drill: healed,
//		Window: 10 * time.Second, Sizes: useful.Sizes{50, 100, 200, 400},
//		Curves: []useful.Curve{{Name: "CPU bomb", Program: bomb}},
//	}.Program().Exit()
package useful
