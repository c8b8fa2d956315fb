// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"
)

func TestTargets(t *testing.T) {
	t.Chdir("../..")
	all, err := targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (target{"lazystate/backdoor", "FuzzDecodeManifest"}); len(all) < 50 || !slices.Contains(all, want) {
		t.Errorf("%d targets, %v among them: %v", len(all), want, slices.Contains(all, want))
	}
}

func TestCounts(t *testing.T) {
	text := `fuzz: elapsed: 0s, gathering baseline coverage: 0/12 completed
fuzz: elapsed: 0s, gathering baseline coverage: 12/12 completed, now fuzzing with 2 workers
fuzz: elapsed: 3s, execs: 1226 (408/sec), new interesting: 5 (total: 17)
fuzz: elapsed: 5s, execs: 2001 (387/sec), new interesting: 6 (total: 18)
PASS
ok  	lazystate/backdoor	5.1s
`
	if c := counts(text); c[executions] != 2001 || c[found] != 6 {
		t.Error(c)
	}
	if c := counts("PASS\nok  	lazystate/backdoor	0.1s [no tests to run]\n"); c[executions] != 0 {
		t.Error(c)
	}
}
