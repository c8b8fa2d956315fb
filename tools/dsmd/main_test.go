// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"lazystate/internal/cli"
)

// dsmd is one life of node 0 of two, whose program fails.
func dsmd(t *testing.T, dir string, args ...string) (code int, log string) {
	t.Helper()
	var errs bytes.Buffer
	all := append([]string{"dsmd", "--node", "0", "-n", "2", "--region", "64K", "--dir", dir}, args...)
	code = run(t.Context(), append(all, "--", "/bin/false"), nil, &bytes.Buffer{}, &errs)
	return code, errs.String()
}

// A node that was lost waits for the others before it recovers: for one that is not
// there, no longer than a recovery does, and then it says which.
func TestNobodyElse(t *testing.T) {
	dir := t.TempDir()
	if code, log := dsmd(t, dir); code != int(useless) || !strings.Contains(log, "the program has failed") {
		t.Fatalf("exit %d\n%s", code, log)
	}
	code, log := dsmd(t, dir, "--patience", "300ms")
	if code != int(useless) || !strings.Contains(log, "two nodes have failed at once: P0 recovers, and has no connection with P1") {
		t.Errorf("exit %d\n%s", code, log)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"--dir", "x"}, {"--node", "0", "-n", "2", "--", "/bin/false"}, {"--node", "2", "-n", "2", "--dir", "x", "--", "/bin/false"},
		{"--node", "0", "--dir", "x", "--", "/bin/false"}, {"--node", "0", "-n", "2", "--dir", "x", "--etcd", "http://127.0.0.1:1", "--", "/bin/false"},
	} {
		var errs bytes.Buffer
		if code := run(t.Context(), append([]string{"dsmd"}, args...), nil, &bytes.Buffer{}, &errs); code != cli.Usage || errs.Len() == 0 {
			t.Errorf("%v: exit %d, %s", args, code, &errs)
		}
	}
}
