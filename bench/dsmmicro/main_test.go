// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lazystate/bench/argo"
	"lazystate/bench/bedtest"
	"lazystate/bench/result"
	"lazystate/dsm/client"
	"lazystate/dsm/pager"
	"lazystate/tools/lab"
)

// The program that is measured is this test's binary.
func TestMain(m *testing.M) {
	if os.Getenv(client.SocketVariable) == "" {
		os.Exit(m.Run())
	}
	if err := client.Main(exercise); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A peer is run in turn with ours, by one page a load and by eight.
func TestRuns(t *testing.T) {
	best, err := pager.Probe(-1)
	if err != nil {
		lab.Skip(t, err.Error())
	}
	ours := len(operations) - 1 // sync
	if best == pager.Async {
		ours += 2 * len(operations)
	}
	peer := filepath.Join(t.TempDir(), "peer")
	if err := os.WriteFile(peer, []byte(`echo '`+said(t)+`'; echo "$ARGO_LOAD_SIZE" >>$0.loads`), 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() { peers = argo.NewPeers() }()
	fig := bedtest.Made(t, &program, "--runs=1", "--argo-shm=/bin/sh "+peer)
	bedtest.Positive(t, fig, ours+2*(len(operations)-1)-1)
	loads, err := os.ReadFile(peer + ".loads")
	if err != nil || !slices.Contains([]string{"1\n8\n", "8\n1\n"}, string(loads)) {
		t.Errorf("loads %q, %v", loads, err)
	}
	notes := strings.Join(fig.Notes, "\n")
	for _, want := range []string{
		"ArgoDSM over shared memory: a test, by 'sh peer'", "ArgoDSM over TCP was not there",
		"bound: barrier, shared memory, sync writes: ", "bound: read miss, shared memory, sync writes: ",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in\n%s", want, notes)
		}
	}
}

// said is a peer's line: each operation takes a second.
func said(t *testing.T) string {
	r := argo.Report{Version: "a test", Nodes: 2, Figures: map[string]float64{sum: pages * (pages - 1) / 2}}
	for _, name := range operations {
		if name != scan {
			r.Figures[name] = 1e6
		}
	}
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func TestCheck(t *testing.T) {
	good := figures{barrier: 1, sum: pages * (pages - 1) / 2}
	if err := good.check([]string{barrier}); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]figures{
		"no operation": {sum: good[sum]}, "no time": {barrier: 0, sum: good[sum]}, "another sum": {barrier: 1, sum: 7}, "nothing": nil,
	} {
		if f.check([]string{barrier}) == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Bounds are judged by medians, against the better of ArgoDSM's over the same transport.
func TestJudge(t *testing.T) {
	s := samples{
		"ours: shared memory, async writes": {readMiss: {9, 5, 1}, upgrade: {1.6}, barrier: {8}, cached: {0.1}, scan: {3}},
		"ours: shared memory, sync writes":  {barrier: {8}},
		"ours: TCP, async writes":           {readMiss: {12}},
		"ArgoDSM: shared memory, 1 a load":  {readMiss: {10}, barrier: {7}},
		"ArgoDSM: shared memory, 8 a load":  {barrier: {6, 5}},
	}
	fig := &result.Figure{Y: "us"}
	judge(fig, s)
	want := []string{
		"read miss, shared memory, async writes: 5.000 us, at most 6.000 (0.6 x ArgoDSM's 10.000): met",
		"read miss, TCP, async writes: not judged, ArgoDSM over TCP was not there",
		"read miss, shared memory, async writes: 5.000 us, at most 7.000 (of its own): met",
		"write upgrade, shared memory, async writes: 1.600 us, at most 1.500 (of its own): not met",
		"barrier, shared memory, async writes: 8.000 us, at most 8.500 (1 x ArgoDSM's 5.500 and a PAGEMAP_SCAN of 8 MiB): met",
		"barrier, shared memory, sync writes: 8.000 us, at most 5.500 (1 x ArgoDSM's 5.500): not met",
		"lock, cached, shared memory, async writes: 0.100 us, at most 0.300 (of its own): met",
	}
	for i := range want {
		want[i] = "bound: " + want[i]
	}
	if !slices.Equal(fig.Notes, want) {
		t.Errorf("%s\nnot\n%s", strings.Join(fig.Notes, "\n"), strings.Join(want, "\n"))
	}
}
