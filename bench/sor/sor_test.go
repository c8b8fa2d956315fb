// SPDX-License-Identifier: Apache-2.0

package main

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

// peer is a command that computes as plain threads do, and says that it is ArgoDSM. Both
// has the threads alone.
func peer(t *testing.T, after string) (command string, b *threads.Both) {
	t.Helper()
	dir := t.TempDir()
	c, err := threads.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "peer")
	text := fmt.Sprintf("set -e; %s $1 $2 2 >$3.out; tail -n +2 $3.out >$3; rm $3.out; %s\n", c, after) +
		`echo '{"version":"a test","nodes":2,"figures":{"seconds":1.5}}'`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "/bin/sh " + path, &threads.Both{C: c, Dir: dir}
}

func TestRuns(t *testing.T) {
	defer func() { peers = argo.NewPeers() }()
	command, _ := peer(t, "")
	fig := bedtest.Made(t, &bench, "--runs=1", "--size=64", "--iterations=5", "--argo-tcp="+command)
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

// A peer whose points differ in a byte is not measured.
func TestAnotherResult(t *testing.T) {
	defer func(z threads.Sizes) { sizes = z }(sizes)
	sizes = threads.Sizes{Size: 64, Iterations: 5, Threads: 2}
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
