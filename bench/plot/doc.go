// SPDX-License-Identifier: Apache-2.0

// Command plot turns the CSV files of bench/results into SVG, the paper's
// points beside ours (§3.9). It is a module of its own, so that the plotting
// library stays out of the project's dependencies.
//
// The trap: lines between measured points are only a guide for the eye; the
// bars are the least and the greatest of the runs, not a confidence interval.
//
//	go run -C bench/plot . ../results/*.csv
package main
