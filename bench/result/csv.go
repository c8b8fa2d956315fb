// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dateFormat is UTC to the minute.
const dateFormat = "2006-01-02 15:04"

var fixed = []string{"series", "x", "median", "min", "max", "n"}

// Write writes the figure: "# key: value" lines, then plain CSV. Points of the
// paper have n = 0.
func (f *Figure) Write(w io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	bw := bufio.NewWriter(w)
	for _, h := range f.header() {
		fmt.Fprintf(bw, "# %s: %s\n", h[0], h[1])
	}
	cw := csv.NewWriter(bw)
	cw.Write(append(slices.Clone(fixed), f.Columns...)) // the first error sticks
	for _, p := range f.Points {
		cw.Write(append([]string{p.Series, num(p.X), num(p.Y), num(p.Low), num(p.High), strconv.Itoa(p.N)}, p.More...))
	}
	cw.Flush()
	if err := cw.Error(); err != nil {
		return fmt.Errorf("write %s: %w", f.Name, err)
	}
	return bw.Flush()
}

func (f *Figure) header() [][2]string {
	h := [][2]string{{"bench", f.Name}, {"title", f.Title}, {"x", f.X}, {"y", f.Y}}
	if f.LogX {
		h = append(h, [2]string{"logx", "true"})
	}
	if f.LogY {
		h = append(h, [2]string{"logy", "true"})
	}
	if len(f.XNames) > 0 {
		h = append(h, [2]string{"xnames", strings.Join(f.XNames, "|")})
	}
	h = append(h, [2]string{"date", f.Date.UTC().Format(dateFormat)}, [2]string{"took", f.Took.Round(time.Second).String()}, [2]string{"runs", strconv.Itoa(f.Runs)},
		[2]string{"seed", strconv.FormatUint(f.Seed, 10)}, [2]string{"commit", f.Source}, [2]string{"command", f.Command},
		[2]string{"host load", f.Load})
	h = append(h, f.Machine.header()...)
	for _, n := range f.Notes {
		h = append(h, [2]string{"note", n})
	}
	return h
}

func num(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// Read reads what Write wrote.
func Read(r io.Reader) (*Figure, error) {
	f := &Figure{}
	br := bufio.NewReader(r)
	for {
		head, err := br.Peek(1)
		if err != nil {
			return nil, fmt.Errorf("read figure: %w", err)
		}
		if head[0] != '#' {
			break
		}
		line, err := br.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("read figure: %w", err)
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "# "), ":")
		if !ok {
			return nil, fmt.Errorf("read figure: header line %q has no value", line)
		}
		if err := f.set(key, strings.TrimSpace(value)); err != nil {
			return nil, err
		}
	}
	return f, f.readPoints(br)
}

func (f *Figure) set(key, value string) (err error) {
	switch key {
	case "bench":
		f.Name = value
	case "title":
		f.Title = value
	case "x":
		f.X = value
	case "y":
		f.Y = value
	case "logx":
		f.LogX = value == "true"
	case "logy":
		f.LogY = value == "true"
	case "xnames":
		f.XNames = strings.Split(value, "|")
	case "date":
		f.Date, err = time.Parse(dateFormat, value)
	case "took":
		f.Took, err = time.ParseDuration(value)
	case "runs":
		f.Runs, err = strconv.Atoi(value)
	case "seed":
		f.Seed, err = strconv.ParseUint(value, 10, 64)
	case "commit":
		f.Source = value
	case "command":
		f.Command = value
	case "host load":
		f.Load = value
	case "note":
		f.Notes = append(f.Notes, value)
	default:
		err = f.Machine.set(key, value)
	}
	if err != nil {
		return fmt.Errorf("header %s: %w", key, err)
	}
	return nil
}

func (f *Figure) readPoints(r io.Reader) error {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Name, err)
	}
	if len(rows) == 0 || len(rows[0]) < len(fixed) || !slices.Equal(rows[0][:len(fixed)], fixed) {
		return fmt.Errorf("read %s: columns are not %v", f.Name, fixed)
	}
	f.Columns = rows[0][len(fixed):]
	for i, row := range rows[1:] {
		p := Point{Series: row[0], More: row[len(fixed):]}
		for j, v := range []*float64{&p.X, &p.Y, &p.Low, &p.High} {
			if *v, err = strconv.ParseFloat(row[1+j], 64); err != nil {
				return fmt.Errorf("read %s: row %d: %w", f.Name, i+1, err)
			}
		}
		if p.N, err = strconv.Atoi(row[5]); err != nil {
			return fmt.Errorf("read %s: row %d: %w", f.Name, i+1, err)
		}
		f.Points = append(f.Points, p)
	}
	return f.check()
}
