// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Files beside the record.
const (
	tableFile   = "survival.md"
	pictureFile = "survival.svg"
)

// show writes table and figure from the record, and prints the table.
func (s *series) show(stdout io.Writer) error {
	if len(s.record.lines) == 0 {
		return errors.New("nothing was measured yet")
	}
	m := newMatrix(s.record.lines)
	table := m.markdown()
	if _, err := io.WriteString(stdout, table); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.out, tableFile), []byte(table), 0o644),
		os.WriteFile(filepath.Join(s.out, pictureFile), m.picture(), 0o644),
	)
}

const legend = `Each carrier's cell: **R** could the target still be read (Sensor Box and a walk of the process table), **L** locked (the OS lock granted, confirmed, given back),
**M** mended (all processes of a user killed under the lock, seen gone), each as *runs in which it could / runs*; then what its monitor, connected before, announced and when
(median, range); then the events that were false. *none*: nothing was announced. ` + "`n/a`" + `: Debian's kernels cannot be broken so. CPU 0 answers for the NIC and is kept free of
programs, as rxe needs it. The carriers of mapped memory and bdnic do not depend on the kernel: both are counted together.
What several monitors must agree on (§3.8): hooks over rxe while the target lives (proposals) and by bdnic; reads by bdnic alone, for over rxe they are not supported (` + "`ErrNotSupported`" + `).
`

// markdown is the whole matrix in text.
func (m *matrix) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What survives which failure\n%s\n", legend)
	b.WriteString("| failure |")
	for i := range m.columns {
		fmt.Fprintf(&b, " %s |", m.columns[i].title)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(m.columns)) + "\n")
	for i, r := range m.rows {
		fmt.Fprintf(&b, "| %s |", r.title)
		for j := range m.columns {
			fmt.Fprintf(&b, " %s |", m.cells[i][j].markdown(m.columns[j].carrier))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + m.origin())
	return b.String()
}

func (c *cell) markdown(carrier bool) string {
	switch {
	case c.runs == 0:
		return ""
	case c.unable:
		return "n/a"
	case !carrier:
		return c.read.String()
	}
	s := fmt.Sprintf("R %s L %s M %s<br>%s", c.read, c.locked, c.mended, c.detection())
	if c.wrong > 0 {
		s += fmt.Sprintf("<br>**false: %d**", c.wrong)
	}
	return s
}

// origin says where the figures come from.
func (m *matrix) origin() string {
	field := func(what string, get func(*line) string) string {
		return what + ": " + strings.Join(of(m.lines, get), "; ") + ".\n"
	}
	s := fmt.Sprintf("At least %d run(s) of each row on each kernel.\n", m.fewest())
	return s + field("Kernels", func(l *line) string { return l.Release }) + field("Host", func(l *line) string { return l.Machine }) +
		field("Commit", func(l *line) string { return l.Source }) + m.losses()
}

// losses is p_ml, measured on healthy targets.
func (m *matrix) losses() string {
	var shares []string
	for i := range m.columns {
		var samples, lost uint64
		for j := range m.lines {
			if l := &m.lines[j]; m.columns[i].takes(l) {
				samples, lost = samples+l.Samples, lost+l.Lost
			}
		}
		if samples > 0 {
			shares = append(shares, fmt.Sprintf("%s %d of %d", m.columns[i].title, lost, samples))
		}
	}
	return "Samples before the fault that had no answer in their slot: " + strings.Join(shares, ", ") + ".\n"
}
