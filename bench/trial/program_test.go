// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/bench/result"
)

func program(measure func(context.Context, *Options) (*result.Figure, error)) *Program {
	return &Program{Name: "fetch", About: "for the test", Runs: 3, Timeout: time.Minute, Measure: measure}
}

func good(_ context.Context, o *Options) (*result.Figure, error) {
	o.Logf("working")
	f := &result.Figure{Title: "T", X: "x", Y: "y", Machine: result.Machine{Kernel: "6.1", CPU: "C"}}
	f.Add("ours", 1, make([]float64, o.Runs))
	return f, nil
}

func TestRunWritesTheFigure(t *testing.T) {
	dir := t.TempDir()
	var out, log bytes.Buffer
	extra := ""
	p := program(good)
	p.Flags = func(fs *flag.FlagSet) { fs.StringVar(&extra, "extra", "", "") }
	if code := p.Run(t.Context(), []string{"--runs", "4", "--out", dir, "--extra", "e", "--source", "0123 clean"}, &out, &log); code != 0 || extra != "e" {
		t.Fatalf("exit %d, extra %q: %s", code, extra, &log)
	}
	r, err := os.Open(filepath.Join(dir, "fetch.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if f, err := result.Read(r); err != nil || f.Runs != 4 || f.Points[0].N != 4 {
		t.Errorf("%+v, %v", f, err)
	}
	if !strings.Contains(out.String(), "fetch.csv") || !strings.Contains(log.String(), "working") {
		t.Errorf("stdout %q, stderr %q", &out, &log)
	}
}

func TestAFailureLeavesNoFigure(t *testing.T) {
	dir := t.TempDir()
	for name, m := range map[string]func(context.Context, *Options) (*result.Figure, error){
		"error":            func(context.Context, *Options) (*result.Figure, error) { return nil, errors.New("no VM") },
		"nothing measured": func(context.Context, *Options) (*result.Figure, error) { return &result.Figure{Title: "T"}, nil },
		"out of time": func(ctx context.Context, _ *Options) (*result.Figure, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	} {
		if code := program(m).Run(t.Context(), []string{"--out", dir, "--source", "0123 clean", "--timeout", "10ms"}, io.Discard, io.Discard); code != 1 {
			t.Errorf("%s: exit %d", name, code)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v %v", files, err)
	}
}

func TestWrongUseExits2(t *testing.T) {
	for _, args := range [][]string{{"--run", "1"}, {"--runs", "0"}, {"more"}, {"--timeout", "-1s"}} {
		if code := program(good).Run(t.Context(), args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}
