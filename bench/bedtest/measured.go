// SPDX-License-Identifier: Apache-2.0

package bedtest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/internal/netrig"
	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
)

// Measured runs a bench and returns what it has written.
func Measured(t *testing.T, p *trial.Program, args ...string) *result.Figure {
	t.Helper()
	if err := netrig.Usable(); err != nil {
		lab.Skip(t, err.Error())
	}
	if err := steer.Probe(); err != nil {
		lab.Skip(t, err.Error())
	}
	return Made(t, p, args...)
}

// Made is Measured for a bench that needs neither namespaces nor eBPF.
func Made(t *testing.T, p *trial.Program, args ...string) *result.Figure {
	t.Helper()
	dir := t.TempDir()
	var out, log bytes.Buffer
	if code := p.Run(t.Context(), append(args, "--out="+dir, "--source=of a test"), &out, &log); code != 0 {
		t.Fatalf("exit %d:\n%s", code, &log)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil || len(files) != 1 {
		t.Fatalf("figures: %v, %v", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fig, err := result.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return fig
}

// Positive wants at least so many points that are not the paper's, none of them 0.
func Positive(t *testing.T, fig *result.Figure, points int) {
	t.Helper()
	for _, p := range fig.Points {
		if p.IsPaper() {
			continue
		}
		points--
		if p.Y <= 0 {
			t.Errorf("%s at %v is %v", p.Series, p.X, p.Y)
		}
	}
	if points > 0 {
		t.Errorf("%d points are missing", points)
	}
}
