// SPDX-License-Identifier: Apache-2.0

package argo

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/bench/result"
)

const report = `{"version":"A 1, MPI 2","nodes":2,"figures":{"barrier":5.5,"sum":3}}`

var task = Task{Nodes: 2, Figures: []string{"sum", "barrier"}}

// script is a command that is sh's.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peer")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "/bin/sh " + path
}

func TestReportAmongOtherLines(t *testing.T) {
	r, err := task.parse([]byte("a warning\n" + report + "\nArgoDSM shutting down\n"))
	if err != nil || r.Version != "A 1, MPI 2" || r.Figures["barrier"] != 5.5 || r.Figures["sum"] != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestGarbledReports(t *testing.T) {
	for out, why := range map[string]string{
		"":                                       "no line",
		"ArgoDSM shutting down\n":                "no line",
		" " + report:                             "no line", // something was written before
		report + "\n" + report:                   "two reports",
		report + report:                          "more than one object",
		report + "ArgoDSM shutting":              "more than one object",
		report[:40]:                              "unexpected EOF",
		report[:20] + "\n":                       "invalid",
		"{}":                                     "version",
		`{"version":"A","nodes":2}`:              "figures []",
		`{"version":"A","nodes":"2"}`:            "cannot unmarshal",
		strings.Replace(report, "5.5", "nan", 1): "invalid character",
		strings.Replace(report, "5.5", "1e999", 1):                             "cannot unmarshal",
		strings.Replace(report, "5.5", "-1", 1):                                "barrier is -1",
		strings.Replace(report, "5.5", "0", 1):                                 "barrier is 0",
		strings.Replace(report, "5.5", `"5"`, 1):                               "cannot unmarshal",
		strings.Replace(report, "barrier", "barriers", 1):                      `not ["barrier" "sum"]`,
		strings.Replace(report, `,"sum":3`, "", 1):                             `not ["barrier" "sum"]`,
		strings.Replace(report, `"sum"`, `"more":1,"sum"`, 1):                  `not ["barrier" "sum"]`,
		strings.Replace(report, `"nodes":2`, `"nodes":3`, 1):                   "on 3 nodes",
		strings.Replace(report, `"nodes"`, `"hosts":1,"nodes"`, 1):             "unknown field",
		strings.Replace(report, "A 1", `A\n# seed: 7`, 1):                      "version",
		strings.Replace(report, "A 1", strings.Repeat("A", 1000), 1):           "version",
		strings.Repeat("{", 1000):                                              "invalid character",
		strings.Replace(report, `{"b`, `{"x`+strings.Repeat("y", 9000)+`b`, 1): "has the figures",
	} {
		_, err := task.parse([]byte(out))
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.80q: %v, not %q", out, err, why)
		} else if len(err.Error()) > 2000 {
			t.Errorf("%.80q: an error of %d bytes", out, len(err.Error()))
		}
	}
}

func TestRun(t *testing.T) {
	var p Peer
	if err := p.Set(script(t, `echo "$ARGO_LOAD_SIZE $*" >&2; [ "$ARGO_LOAD_SIZE $*" = "8 64 5" ] && echo '`+report+`'`)); err != nil {
		t.Fatal(err)
	}
	with := task
	with.Env, with.Args = []string{"ARGO_LOAD_SIZE=8"}, []string{"64", "5"}
	if r, err := p.Run(t.Context(), with); err != nil || r.Figures["sum"] != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	with.Args = []string{"65"}
	if _, err := p.Run(t.Context(), with); err == nil || !strings.Contains(err.Error(), "8 65") || !strings.Contains(err.Error(), "exit status") {
		t.Errorf("a command that fails: %v", err)
	}
}

func TestWrongCommands(t *testing.T) {
	for command, why := range map[string]string{
		"/nonexistent/mpirun -n 2":              "no such file",
		script(t, "yes | head -c 300000; exit"): "no line",
	} {
		var p Peer
		if err := p.Set(command); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Run(t.Context(), task); err == nil || !strings.Contains(err.Error(), why) || len(err.Error()) > 3000 {
			t.Errorf("%s: %v", command, err)
		}
	}
	if err := new(Peer).Set(`sh -c 'echo'`); err == nil {
		t.Error("a command for a shell")
	}
}

// A command that hangs ends with the context.
func TestHangs(t *testing.T) {
	var p Peer
	if err := p.Set("/bin/sleep 600"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Run(ctx, task); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Error(err)
	}
}

// A figure's command names no folder of this machine, and is the bench's but for the
// peers.
func TestCommandOfAFigure(t *testing.T) {
	peers := NewPeers()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	peers.Flags(fs)
	fs.PrintDefaults()
	if err := fs.Parse([]string{"--argo-shm", "/usr/bin/mpirun -n 2  /somewhere/bin/micro"}); err != nil {
		t.Fatal(err)
	}
	command := "go run ./bench/dsmmicro"
	fs.Visit(func(f *flag.Flag) { command += " --" + f.Name + "=" + f.Value.String() })
	if want := "go run ./bench/dsmmicro --argo-shm='mpirun -n 2 micro'"; command != want {
		t.Errorf("%s, not %s", command, want)
	}
	if got := Without(command + " --argo-tcp='mpirun' --runs=3"); got != "go run ./bench/dsmmicro --runs=3" {
		t.Error(got)
	}
	var fig result.Figure
	peers.Shared.version = "A 1"
	peers.Note(&fig)
	if there := peers.There(); len(there) != 1 || there[0] != &peers.Shared {
		t.Errorf("%v", there)
	}
	if len(fig.Notes) != 2 || !strings.Contains(fig.Notes[0], "shared memory: A 1, by 'mpirun") || !strings.Contains(fig.Notes[1], "TCP was not there") {
		t.Errorf("%q", fig.Notes)
	}
}

// A command may write for ever.
func TestCapped(t *testing.T) {
	for _, end := range []bool{false, true} {
		c := capped{end: end}
		long := strings.Repeat("a", most) + strings.Repeat("b", most/2)
		if _, err := io.Copy(&c, io.MultiReader(strings.NewReader(long), strings.NewReader("c"))); err != nil {
			t.Fatal(err)
		}
		want := long[:most]
		if end {
			want = (long + "c")[len(long)+1-most:]
		}
		if string(c.b) != want {
			t.Errorf("end %v: %d bytes", end, len(c.b))
		}
	}
}
