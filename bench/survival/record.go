// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"lazystate/internal/atomicfile"
)

// line of the record: what one column made of one run of a row.
type line struct {
	Kernel  string // series
	Row     string
	Run     int
	Seed    uint64
	Column  string // a carrier, or one who asks from outside
	Read    string // yes, no, or - where it is not asked; of an outsider: whether it was answered
	Locked  string
	Repair  string
	Detect  time.Duration // 0: not detected
	Kind    string        // of the event that told
	False   int           // events that were false
	ReadFor time.Duration // how long the answer took
	LockFor time.Duration
	MendFor time.Duration
	Samples uint64 // of the monitor, before the fault
	Lost    uint64 // of these, not answered in their slot: p_ml is their share
	Release string // of the target's kernel
	Machine string // that all ran on
	Load    string // of that, when the run began
	Source  string // commit
	Date    string
	Note    string
}

const (
	yes     = "yes"
	no      = "no"
	notHere = "n/a" // this kernel cannot be broken so
	unasked = "-"
)

var heads = []string{"kernel", "row", "run", "seed", "column", "read", "locked", "repaired", "detected_ms", "event", "false",
	"read_ms", "lock_ms", "repair_ms", "samples", "lost", "release", "machine", "load", "commit", "date", "note"}

func word(a answer) string {
	if a.yes {
		return yes
	}
	return no
}

func (l *line) fields() []string {
	return []string{
		l.Kernel, l.Row, strconv.Itoa(l.Run), strconv.FormatUint(l.Seed, 10), l.Column, l.Read, l.Locked, l.Repair, millis(l.Detect), l.Kind,
		strconv.Itoa(l.False), millis(l.ReadFor), millis(l.LockFor), millis(l.MendFor),
		strconv.FormatUint(l.Samples, 10), strconv.FormatUint(l.Lost, 10), l.Release, l.Machine, l.Load, l.Source, l.Date, l.Note,
	}
}

func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// parseLine reads what fields wrote.
func parseLine(f []string) (l line, err error) {
	number := func(s string) uint64 {
		n, bad := strconv.ParseUint(s, 10, 64)
		err = errors.Join(err, bad)
		return n
	}
	span := func(s string) time.Duration {
		ms, bad := strconv.ParseFloat(s, 64)
		err = errors.Join(err, bad)
		return time.Duration(ms * float64(time.Millisecond))
	}
	if len(f) != len(heads) {
		return l, fmt.Errorf("%d fields of %d", len(f), len(heads))
	}
	l = line{
		Kernel: f[0], Row: f[1], Run: int(number(f[2])), Seed: number(f[3]), Column: f[4], Read: f[5], Locked: f[6], Repair: f[7],
		Detect: span(f[8]), Kind: f[9], False: int(number(f[10])), ReadFor: span(f[11]), LockFor: span(f[12]), MendFor: span(f[13]),
		Samples: number(f[14]), Lost: number(f[15]), Release: f[16], Machine: f[17], Load: f[18], Source: f[19], Date: f[20], Note: f[21],
	}
	return l, err
}

// record is the CSV file with all that was measured.
type record struct {
	path  string
	lines []line
}

// openRecord reads the file, if it is there.
func openRecord(path string) (*record, error) {
	r := &record{path: path}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if r.lines, err = readLines(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func readLines(from io.Reader) ([]line, error) {
	rows, err := csv.NewReader(from).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != strings.Join(heads, ",") {
		return nil, errors.New("this is no record of the survival matrix")
	}
	var all []line
	for i, row := range rows[1:] {
		l, err := parseLine(row)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// has reports whether a run was measured.
func (r *record) has(kernel, row string, run int) bool {
	for i := range r.lines {
		if l := &r.lines[i]; l.Kernel == kernel && l.Row == row && l.Run == run {
			return true
		}
	}
	return false
}

// add appends the lines of one run: all, or none if it fails or is killed.
func (r *record) add(lines []line) error {
	all := append(append([]line(nil), r.lines...), lines...)
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(heads) // the first error sticks
	for i := range all {
		w.Write(all[i].fields())
	}
	w.Flush()
	err := w.Error()
	if err == nil {
		err = atomicfile.Write(r.path, b.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	r.lines = all
	return nil
}
