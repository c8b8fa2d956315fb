// SPDX-License-Identifier: Apache-2.0

package beside

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/bench/apps/threads"
	"lazystate/bench/argo"
	"lazystate/bench/bedtest"
)

// small is a run that takes a moment.
var small = &threads.Work{Name: "sor", Sizes: []threads.Size{{Flag: "size", Value: 64}, {Flag: "iterations", Value: 5}}, Threads: 2}

// peer is a command that computes as plain threads do, and says that it is ArgoDSM. Both
// has the threads alone.
func peer(t *testing.T, after string) (command string, b *threads.Both) {
	t.Helper()
	dir := t.TempDir()
	c, err := threads.Build(t.Context(), dir, "sor")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "peer")
	text := fmt.Sprintf("set -e; %s $1 $2 2 >$3.out; tail -n +2 $3.out >$3; rm $3.out; %s\n", c, after) +
		`echo '{"version":"a test","nodes":2,"figures":{"seconds":1.5}}'`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "/bin/sh " + path, &threads.Both{Work: small, C: c, Dir: dir}
}

func TestRuns(t *testing.T) {
	command, _ := peer(t, "")
	fig := bedtest.Made(t, &New(threads.SOR(200, 2), 2).Program, "--runs=1", "--size=64", "--iterations=5", "--argo-tcp="+command)
	bedtest.Positive(t, fig, len(ways)+1)
	last := fig.Points[len(fig.Points)-1]
	if last.Y != 1.5 || fig.XNames[len(ways)] != "ArgoDSM, TCP" {
		t.Errorf("%+v, %q", last, fig.XNames)
	}
	notes := strings.Join(fig.Notes, "\n")
	for _, want := range []string{"bound: DSM, logs: ", "(2 x C, threads)", "ArgoDSM over TCP: a test, by 'sh peer'", "ArgoDSM over shared memory was not there"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in\n%s", want, notes)
		}
	}
}

// LU's ways have one result, too, and there is no bound.
func TestLU(t *testing.T) {
	fig := bedtest.Made(t, &New(threads.LU(2), 0).Program, "--runs=1", "--size=64", "--block=8")
	bedtest.Positive(t, fig, len(ways))
	if notes := strings.Join(fig.Notes, "\n"); strings.Contains(notes, "bound:") || !strings.Contains(notes, "lu: 64 rows of the matrix, 8 rows of a block; 2 processes") {
		t.Errorf("%s", notes)
	}
}

// A peer whose points differ in a byte is not measured.
func TestAnotherResult(t *testing.T) {
	for after, why := range map[string]string{"": "", "printf x >>$3": "the result is", "rm $3": "no such file"} {
		command, b := peer(t, after)
		p := argo.NewPeers().Shared
		if err := p.Set(command); err != nil {
			t.Fatal(err)
		}
		if _, err := ways[1].once(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		s, err := onArgo(&p).once(t.Context(), b)
		if why == "" && (err != nil || s != 1.5) || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%q: %v, %v", after, s, err)
		}
	}
}
