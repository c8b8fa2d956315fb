// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"lazystate/internal/cli"
	"lazystate/tools/dsmrun/job"
)

// What make demo-dsm shows is so, with less to do.
func TestDemo(t *testing.T) {
	bin := t.TempDir()
	if err := job.Build(t.Context(), bin, "lazystate/bench/apps/dsmapps"); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"dsmdemo", "--bin", bin, "--nodes", "3", "--victim", "1", "--bodies", "256", "--steps", "4", "--every", "20ms"}, strings.NewReader(""), &out, &errs)
	if code != cli.OK {
		t.Fatalf("exit %d\n%s%s", code, &out, &errs)
	}
	for _, m := range moments {
		if !strings.Contains(out.String(), "node 1 "+m.told) {
			t.Errorf("nobody says that node 1 %s", m.told)
		}
	}
	if !strings.Contains(out.String(), "The results are the same") || !strings.Contains(out.String(), "killed, life 2") {
		t.Errorf("%s", &out)
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{"--nodes", "1"}, {"--victim", "4"}, {"--victim", "-1"}, {"--every", "0s"}} {
		if code := run(context.Background(), append([]string{"dsmdemo"}, args...), nil, &bytes.Buffer{}, &bytes.Buffer{}); code != cli.Usage {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if code := run(context.Background(), []string{"dsmdemo", "--bin", t.TempDir()}, nil, &bytes.Buffer{}, &bytes.Buffer{}); code != cli.Failed {
		t.Errorf("without programs: exit %d", code)
	}
}
