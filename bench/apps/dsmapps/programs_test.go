// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"lazystate/bench/apps/dsmapps/program"
	"lazystate/dsm/client"
)

// small are sizes that take a moment, some of them awkward.
var small = map[string][]string{
	"sor":      {"--size", "67", "--iterations", "6"},
	"lu":       {"--size", "60", "--block", "12"},
	"radix":    {"--keys", "5003", "--digit", "9"},
	"cache":    {"--requests", "3000", "--keys", "150", "--slots", "50", "--writes", "40"},
	"barnes":   {"--bodies", "400", "--steps", "3"},
	"nsquared": {"--side", "3", "--steps", "3"},
	"spatial":  {"--side", "4", "--steps", "3"},
}

func sized(t *testing.T, name string) program.Program {
	t.Helper()
	p := programs()[name]
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	p.Flags(fs)
	if err := fs.Parse(small[name]); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Each program has the sequential run's result on any number of nodes, and when
// each node is restarted between all steps.
func TestPrograms(t *testing.T) {
	for name := range programs() {
		t.Run(name, func(t *testing.T) {
			p := sized(t, name)
			want := p.Sequential()
			for _, nodes := range []int{1, 2, 3, 7} {
				for _, restart := range []func(int, int) bool{nil, func(int, int) bool { return true }, func(node, step int) bool { return (node+step)%3 == 0 }} {
					cfg := program.Local(p, nodes)
					cfg.Restart = restart
					last := 0
					err := client.Local(cfg, func(n *client.Node) error {
						digest, err := p.Parallel(n, func(step, of int) {
							if n.ID() > 0 || step < last || step > of {
								t.Errorf("node %d: step %d of %d after step %d", n.ID(), step, of, last)
							}
							last = step
						})
						if n.ID() == 0 && digest != want {
							t.Errorf("%d nodes: %s, not %s", nodes, digest, want)
						}
						return err
					})
					if err != nil || last == 0 {
						t.Errorf("%d nodes, %d steps: %v", nodes, last, err)
					}
				}
			}
		})
	}
}

// The two programs for water have the same result.
func TestWatersAgree(t *testing.T) {
	var reports [2]report
	for i, name := range []string{"nsquared", "spatial"} {
		var out, errs bytes.Buffer
		if code := run([]string{name, "--local", "2", "--side", "4", "--steps", "2", "--check", "--progress"}, &out, &errs); code != 0 {
			t.Fatal(code, errs.String())
		}
		if err := json.Unmarshal(out.Bytes(), &reports[i]); err != nil || reports[i].Nodes != 2 || reports[i].Program != name {
			t.Errorf("%s: %v", out.String(), err)
		}
		if lines := strings.Count(errs.String(), "of 2\n"); lines != 3 {
			t.Errorf("progress: %s", errs.String())
		}
	}
	if reports[0].Digest != reports[1].Digest || reports[0].Digest == "" {
		t.Errorf("%+v", reports)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"nothing"}, {"sor", "--size", "2"}, {"sor", "x"}, {"sor", "--local", "-1"}, {"sor", "--nothing"},
		{"lu", "--size", "10", "--block", "3"}, {"radix", "--digit", "17"}, {"barnes", "--theta", "0"}, {"nsquared", "--side", "1"}, {"cache", "--slots", "3"}} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != 2 || errs.Len() == 0 || out.Len() > 0 {
			t.Errorf("%v: exit %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
}

func TestNeeds(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"barnes", "--needs", "4", "--bodies", "1000"}, &out, &errs); code != 0 || !strings.Contains(out.String(), `"locks":`) {
		t.Error(code, out.String(), errs.String())
	}
	t.Setenv(client.SocketVariable, "")
	if code := run([]string{"sor"}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "dsmrun") {
		t.Error(code, errs.String())
	}
}

// What a program cannot go on with ends it with exit 1.
func TestNoRoom(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"barnes", "--local", "2", "--cells", "20"}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "more cells") {
		t.Error(code, errs.String())
	}
}
