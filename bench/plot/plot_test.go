// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/bench/result"
)

func figure() *result.Figure {
	f := &result.Figure{
		Name: "table33", Title: "Table 3.3: repair time", X: "processes", Y: "ms",
		Machine: result.Machine{Kernel: "6.1.0", CPU: "Some CPU", Cores: 2},
		Runs:    3, Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Source: "0123 clean", Command: "table33", Load: "1 before, 2 after",
	}
	f.Paper("paper", 100, 140)
	f.Paper("paper", 500, 263)
	f.Add("ours", 100, []float64{3, 1, 2})
	f.Add("ours", 500, []float64{30, 10, 0})
	return f
}

// texts returns the text of a well-formed SVG and the number of its paths.
func texts(t *testing.T, svg []byte) (string, int) {
	t.Helper()
	var b strings.Builder
	paths := 0
	for dec := xml.NewDecoder(bytes.NewReader(svg)); ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), paths
		} else if err != nil {
			t.Fatalf("svg: %v", err)
		}
		switch tok := tok.(type) {
		case xml.CharData:
			b.Write(tok)
		case xml.StartElement:
			if tok.Name.Local == "path" {
				paths++
			}
		}
	}
}

func TestEveryKindIsDrawn(t *testing.T) {
	lines, logs, bars := figure(), figure(), figure()
	logs.LogX, logs.LogY = true, true
	logs.Add("ours", 1000, []float64{0, 0, 0}) // has no logarithm
	bars.XNames, bars.LogY = []string{"CPU bomb", "memory hogs"}, true
	for i := range bars.Points {
		bars.Points[i].X = float64(1 + i%2)
	}
	for name, f := range map[string]*result.Figure{"lines": lines, "logs": logs, "bars": bars} {
		svg, err := draw(f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, paths := texts(t, svg)
		for _, want := range append([]string{"Table 3.3", "paper", "ours", "Some CPU", "3 runs"}, f.XNames...) {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in the plot", name, want)
			}
		}
		if paths < 10 {
			t.Errorf("%s: %d paths", name, paths)
		}
	}
}

func TestRunWritesBesideTheCSV(t *testing.T) {
	dir := t.TempDir()
	if err := figure().Save(dir); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{filepath.Join(dir, "table33.csv")}, nil, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	if svg, err := os.ReadFile(filepath.Join(dir, "table33.svg")); err != nil || len(svg) == 0 {
		t.Errorf("no svg: %v", err)
	}
	bad := filepath.Join(dir, "bad.csv")
	if err := os.WriteFile(bad, []byte("x,y\n1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[int][]string{2: nil, 1: {bad}} {
		if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != want {
			t.Errorf("%v: exit %d, want %d", args, code, want)
		}
	}
}
