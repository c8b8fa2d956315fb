// SPDX-License-Identifier: Apache-2.0

package main

// app is one of the applications of Table 4.1.
type app struct {
	name  string
	args  []string // of dsmapps
	tiny  []string // of a run that takes a moment
	limit string   // L of the log-overflow policy, %
	most  float64  // that aligned checkpoints may cost, %: this project's bound
	paper paper
}

// paper is an application's rows of Tables 4.1 to 4.4.
type paper struct {
	size                                   string
	shared, base                           float64 // MB, s
	traffic, control, controlShare         float64 // MB, MB, %
	checkpoints                            string
	time, increase, logging, disk          float64 // s, %, s, s
	window                                 int
	log, written, created, saved, savedPct float64 // MB
	discarded, discardedPct                float64
}

var apps = []app{
	{
		"Barnes", []string{"barnes", "--bodies", "4096", "--steps", "60"}, []string{"barnes", "--bodies", "256", "--steps", "4"}, "100", 15,
		paper{"256 k", 43, 1663, 2224, 3.3, 0.15, "6-10", 2677, 61, 16.2, 96.8, 3, 80, 390.2, 371.2, 348.3, 94, 281, 76},
	},
	{
		"Water-Nsquared", []string{"nsquared", "--side", "12", "--steps", "20"}, []string{"nsquared", "--side", "3", "--steps", "4"}, "10", 5,
		paper{"19,683", 12.6, 1634, 68.5, 0.1, 0.2, "9", 1644, 0.6, 0.9, 5.3, 3, 3.5, 28.4, 14.2, 14.2, 100, 11.4, 80},
	},
	{
		"Water-Spatial", []string{"spatial", "--side", "20", "--steps", "40"}, []string{"spatial", "--side", "4", "--steps", "12"}, "10", 5,
		paper{"256 k", 257.3, 2569, 174.7, 0.5, 0.25, "5", 2737, 7, 13, 79.4, 3, 75.7, 339.2, 178.3, 178.3, 100, 102.9, 58},
	},
}

// policy is when checkpoints are taken.
type policy struct {
	name string
	args func(limit string) []string // of dsmrun
}

const (
	base = iota
	overflow
	aligned
)

var policies = []policy{
	{"base", func(string) []string { return []string{"--unlogged"} }},
	{"L %", func(limit string) []string { return []string{"--logs", limit} }},
	{"L %, aligned", func(limit string) []string { return []string{"--logs", limit, "--aligned"} }},
}
