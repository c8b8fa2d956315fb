// SPDX-License-Identifier: Apache-2.0

package threads

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
)

// Work is a program of bench/apps/dsmapps, and how large a run of it is.
type Work struct {
	Name    string
	Sizes   []Size // in the order in which the program in C is told them
	Threads int    // or nodes
}

// Size is one of a program's, by its flag.
type Size struct {
	Flag  string
	Value int
	Usage string
}

// SOR is so many sweeps by so many threads.
func SOR(iterations, threads int) *Work {
	return &Work{"sor", []Size{{"size", 1024, "points in a row of the grid"}, {"iterations", iterations, "sweeps of both colours"}}, threads}
}

// LU is by so many threads.
func LU(threads int) *Work {
	return &Work{"lu", []Size{{"size", 1024, "rows of the matrix"}, {"block", 16, "rows of a block"}}, threads}
}

// Flags are the sizes, as a bench is told them.
func (w *Work) Flags(fs *flag.FlagSet) {
	for i := range w.Sizes {
		s := &w.Sizes[i]
		fs.IntVar(&s.Value, s.Flag, s.Value, s.Usage)
	}
	fs.IntVar(&w.Threads, "nodes", w.Threads, "processes, or threads")
}

// Args are the sizes alone, in order.
func (w *Work) Args() (args []string) {
	for _, s := range w.Sizes {
		args = append(args, strconv.Itoa(s.Value))
	}
	return args
}

// onNodes are dsmapps' arguments.
func (w *Work) onNodes() []string {
	args := []string{w.Name}
	for _, s := range w.Sizes {
		args = append(args, "--"+s.Flag, strconv.Itoa(s.Value))
	}
	return args
}

// String is for a figure.
func (w *Work) String() string {
	var sizes []string
	for _, s := range w.Sizes {
		sizes = append(sizes, fmt.Sprintf("%d %s", s.Value, s.Usage))
	}
	return fmt.Sprintf("%s: %s; %d processes or threads", w.Name, strings.Join(sizes, ", "), w.Threads)
}
