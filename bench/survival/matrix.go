// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"lazystate/bench/guest"
	"lazystate/bench/result"
)

// tally is how often something worked.
type tally struct{ good, all int }

func (t *tally) add(word string) {
	switch word {
	case yes:
		t.good++
		t.all++
	case no:
		t.all++
	}
}

func (t tally) String() string {
	if t.all == 0 {
		return unasked
	}
	return fmt.Sprintf("%d/%d", t.good, t.all)
}

// cell is what one column made of all runs of a row.
type cell struct {
	runs                 int
	read, locked, mended tally
	detected             []float64 // ms, of the runs in which it was
	kinds                []string  // of the events that told, the first seen first
	wrong                int       // false events, of all runs
	unable               bool      // the kernel cannot be broken so
}

func (c *cell) add(l *line) {
	c.runs++
	c.unable = c.unable || l.Read == notHere
	c.read.add(l.Read)
	c.locked.add(l.Locked)
	c.mended.add(l.Repair)
	c.wrong += l.False
	if l.Detect > 0 {
		c.detected = append(c.detected, float64(l.Detect)/float64(time.Millisecond))
		if !slices.Contains(c.kinds, l.Kind) {
			c.kinds = append(c.kinds, l.Kind)
		}
	}
}

// detection in words: how often, the median and the range.
func (c *cell) detection() string {
	if len(c.detected) == 0 {
		return "none"
	}
	s := fmt.Sprintf("%s %d/%d in %s", strings.Join(c.kinds, ", "), len(c.detected), c.runs, brisk(result.Median(c.detected)))
	if low, high := slices.Min(c.detected), slices.Max(c.detected); low != high {
		s += fmt.Sprintf(" (%s to %s)", brisk(low), brisk(high))
	}
	return s
}

// brisk writes milliseconds with three digits.
func brisk(ms float64) string {
	if ms >= 1000 {
		return fmt.Sprintf("%.3g s", ms/1000)
	}
	return fmt.Sprintf("%.3g ms", ms)
}

// column of the matrix. kernel "": of all kernels together.
type column struct {
	title, kernel, name string
	carrier             bool
}

func (c *column) takes(l *line) bool {
	return l.Column == c.name && (c.kernel == "" || l.Kernel == c.kernel)
}

// matrix is the record by rows and columns.
type matrix struct {
	columns []column
	rows    []*row // those that were run
	cells   [][]cell
	lines   []line
}

// outsideTitles are the columns of who has no backdoor.
var outsideTitles = map[string]string{"ping": "ping", "tcp": "TCP connect", "login": "login over TCP", "console": "serial console"}

func columns(lines []line) []column {
	var all []column
	for _, k := range of(lines, func(l *line) string { return l.Kernel }) {
		all = append(all, column{"rxe on " + k, k, string(guest.RXE), true})
	}
	all = append(all, column{"bdnic", "", string(guest.BDNIC), true}, column{"mapped memory", "", string(guest.INIC), true})
	for _, o := range outsiders {
		all = append(all, column{outsideTitles[o.name], "", o.name, false})
	}
	return all
}

// of returns the different values of a field, sorted as versions are.
func of(lines []line, field func(*line) string) []string {
	var all []string
	for i := range lines {
		all = append(all, field(&lines[i]))
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return slices.Compact(all)
}

func newMatrix(lines []line) *matrix {
	m := &matrix{columns: columns(lines), lines: lines}
	for i := range rows {
		r := &rows[i]
		if !slices.ContainsFunc(lines, func(l line) bool { return l.Row == r.name }) {
			continue
		}
		cells := make([]cell, len(m.columns))
		for j := range lines {
			if l := &lines[j]; l.Row == r.name {
				for k := range m.columns {
					if m.columns[k].takes(l) {
						cells[k].add(l)
					}
				}
			}
		}
		m.rows, m.cells = append(m.rows, r), append(m.cells, cells)
	}
	return m
}

// fewest runs of any row on any kernel that has one.
func (m *matrix) fewest() int {
	runs := map[[2]string]map[int]bool{}
	for i := range m.lines {
		l := &m.lines[i]
		key := [2]string{l.Kernel, l.Row}
		if runs[key] == nil {
			runs[key] = map[int]bool{}
		}
		runs[key][l.Run] = true
	}
	fewest := 0
	for _, r := range runs {
		if fewest == 0 || len(r) < fewest {
			fewest = len(r)
		}
	}
	return fewest
}
