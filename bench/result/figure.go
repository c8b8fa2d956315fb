// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lazystate/internal/atomicfile"
)

// Figure is one table or figure: named series of points.
type Figure struct {
	Name       string // file name without suffix
	Title      string
	X, Y       string // axis labels, with units
	LogX, LogY bool
	XNames     []string // the x values 1..n are these names (bars)
	Machine    Machine
	Runs       int
	Seed       uint64 // of what is drawn by lot: the order of conditions
	Date       time.Time
	Took       time.Duration // the whole bench; 0: not told
	Source     string        // what was measured: see Source
	Command    string        // that made the figure
	Load       string        // load averages of the host before and after
	Notes      []string      // one line each
	Columns    []string      // names of Point.More
	Points     []Point
}

// Point is one x of one series: the median of N samples and their range.
type Point struct {
	Series       string
	X            float64
	Y, Low, High float64
	N            int      // samples; 0: a point of the paper
	More         []string // one per Figure.Columns
}

// IsPaper reports whether the point was read in the dissertation.
func (p Point) IsPaper() bool { return p.N == 0 }

// Paper adds a point as the dissertation prints it.
func (f *Figure) Paper(series string, x, y float64) {
	f.Points = append(f.Points, Point{Series: series, X: x, Y: y, Low: y, High: y, More: make([]string, len(f.Columns))})
}

// Add adds the median and range of samples at x.
func (f *Figure) Add(series string, x float64, samples []float64, more ...string) {
	if len(samples) == 0 {
		return
	}
	p := Point{Series: series, X: x, Y: Median(samples), Low: slices.Min(samples), High: slices.Max(samples), N: len(samples), More: more}
	for len(p.More) < len(f.Columns) {
		p.More = append(p.More, "")
	}
	f.Points = append(f.Points, p)
}

// Notef adds a line to the header.
func (f *Figure) Notef(format string, args ...any) {
	f.Notes = append(f.Notes, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

// Bound notes whether what was measured keeps to a bound, and what made that.
func (f *Figure) Bound(what string, got, most float64, unit, by string) {
	verdict := "not met"
	if got <= most {
		verdict = "met"
	}
	f.Notef("bound: %s: %.3f %s, at most %.3f (%s): %s", what, got, unit, most, by, verdict)
}

// Median of samples, which it leaves as they are; the mean of the middle two
// when their number is even.
func Median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// Quantile q (0..1) of samples by nearest rank.
func Quantile(samples []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// check refuses what nobody could reproduce.
func (f *Figure) check() error {
	measured := slices.ContainsFunc(f.Points, func(p Point) bool { return !p.IsPaper() })
	switch {
	case f.Name == "" || f.Title == "" || f.X == "" || f.Y == "":
		return fmt.Errorf("figure %q: name, title and both axes are needed", f.Name)
	case !measured:
		return fmt.Errorf("figure %s: nothing was measured", f.Name)
	case f.Runs < 1 || f.Date.IsZero() || f.Machine.Kernel == "" || f.Machine.CPU == "":
		return fmt.Errorf("figure %s: runs, date and machine are needed", f.Name)
	case f.Source == "" || f.Command == "" || f.Load == "":
		return fmt.Errorf("figure %s: commit, command and the host's load are needed", f.Name)
	case f.Machine.GuestKernel != "" && (f.Machine.QEMU == "" || f.Machine.GuestPackage == ""):
		return fmt.Errorf("figure %s: a guest's emulator and kernel package are needed", f.Name)
	}
	for _, p := range f.Points {
		if len(p.More) != len(f.Columns) {
			return fmt.Errorf("figure %s: a point of %q has %d columns of %d", f.Name, p.Series, len(p.More), len(f.Columns))
		}
	}
	return nil
}

// Save writes dir/<Name>.csv, whole or not at all.
func (f *Figure) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save %s: %w", f.Name, err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, f.Name+".csv"), b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("save %s: %w", f.Name, err)
	}
	return nil
}
