// SPDX-License-Identifier: Apache-2.0

// Package logs has what a process keeps so that another one can recover (§4.4)
// and how much of it may be thrown away (§4.5): write notices, acquires,
// barriers, cuts, diffs, and the window of checkpoints of homed pages.
//
//	Notices    wn_log: which pages were written in which interval     Lemma 2
//	Acquires   acq_sent_log, acq_rcvd_log, mirrored at the two ends   Lemma 3
//	Barriers   the times that barriers ended with                     like Lemma 3
//	Cuts       where in the program each interval ended               the writer's checkpoint
//	Diffs      diff_log, by page                                      Theorems 1 and 2
//	Window     checkpoints whose pages are still needed               Theorems 1 and 2
//
// Bounds are arguments: a caller computes them from checkpoint timestamps that
// it has heard of, and old ones are safe, because each bound only rises.
//
// The trap: an acquire is named by its ordinal, not by the acquirer's interval
// as in Lemma 3. Intervals end lazily here, so several acquires can fall into
// one interval, before and after a checkpoint.
//
//	var d logs.Diffs
//	d.Add(logs.Diff{Page: 3, Writer: 1, Interval: 5, T: t, Diff: d})
//	d.Since(3, 4)       // for a page of version 4
//	d.Trim(3, 5)        // the home has it in all checkpoints that it keeps
package logs
