// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lazystate/dsm"
	"lazystate/dsm/diff"
	"lazystate/dsm/logs"
	"lazystate/dsm/store"
	"lazystate/dsm/vtime"
	"lazystate/internal/cli"
)

// state is a checkpoint with something in every log.
func state(number uint32) *dsm.State {
	t := vtime.Time{uint64(number), 2}
	d := diff.Diff{{Off: 3, Data: []byte{1, 2}}, {Off: 9, Data: []byte{3}}}
	return &dsm.State{
		Stamp: dsm.Stamp{Number: number, T: t, Ordinal: 40, Barriers: 2}, V: t, Last: t,
		Pages: []dsm.SavedPage{
			{Page: 0, Homed: true, V: t, Bytes: bytes.Repeat([]byte{byte(number)}, 64)},
			{Page: 1, Homed: true, Home: 1, Need: t}, {Page: 2, Need: t}, {Page: 3, Homed: true, Home: 1},
		},
		Held:    []dsm.SavedLock{{Lock: 1, Have: true, Seq: 7}},
		Notices: [][]logs.Notice{{{Cut: logs.Cut{Interval: 4, Ordinal: 39, After: true}, Pages: []dsm.Page{0, 2}}}, {{Cut: logs.Cut{Interval: 5, Ordinal: 12, After: true, Ragged: true}}}},
		Diffs:   []logs.Diff{{Page: 2, Interval: 4, T: t, Diff: d}},
		Ragged:  []logs.Diff{{Page: 0, Writer: 1, Interval: 5, T: t, Ragged: true, Diff: d}},
		Bars:    logs.Barriers{{Number: 2, ID: 1, T: t}},
		Peers:   []dsm.SavedPeer{{Ckp: dsm.Stamp{T: t}}, {Ckp: dsm.Stamp{Number: 6, T: t}, Bound: 3}},
	}
}

// folder makes a run's with one node that has two checkpoints.
func folder(t *testing.T) (run, node string) {
	t.Helper()
	run = t.TempDir()
	node = filepath.Join(run, "node-0")
	s, err := store.Open(dsm.Config{Nodes: 2, Pages: 4, PageSize: 64}, node)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	for n := range uint32(2) {
		if err := s.Save(state(n+1), []byte("private")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return run, node
}

func dsmlog(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), append([]string{"dsmlog"}, args...), strings.NewReader(""), &out, &errs); code != want {
		t.Fatalf("dsmlog %v: exit %d, not %d: %s%s", args, code, want, &out, &errs)
	}
	return out.String(), errs.String()
}

func has(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("there is no %q in\n%s", w, text)
		}
	}
}

func TestList(t *testing.T) {
	run, node := folder(t)
	for _, dir := range []string{run, node} {
		out, _ := dsmlog(t, cli.OK, "list", dir)
		has(t, out, "P0", "<1 2>", "<2 2>", "of 2, incarnation 1")
	}
	out, _ := dsmlog(t, cli.OK, "list", "--json", run)
	var all []store.Folder
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 || len(all[0].Window) != 2 || all[0].Window[1].Fresh != 1 {
		t.Errorf("%v, %+v", err, all)
	}
}

func TestDump(t *testing.T) {
	_, node := folder(t)
	out, _ := dsmlog(t, cli.OK, "dump", node)
	has(t, out, "checkpoint 2: T_ckp <2 2>", "page 0: here, p.v <2 2>", "page 1: home P1, p.v^N <2 2>", "page 2: p.v^N", "page 3: home P1\n", "lock 1: passed on 7 times, token here true, held false",
		"wn_log: P0 interval 4, pages [0 2], ended after operation 39", "wn_log: P1 interval 5, pages [], ended in the midst of what follows operation 12",
		"diff_log: page 2, P0 interval 4, T <2 2>, 3 bytes in 2 runs", "ragged: page 0, P1", "barrier log: number 2, barrier 1", "P1: its checkpoint 6")
	out, _ = dsmlog(t, cli.OK, "dump", "--json", "--checkpoint", "1", node)
	var d []contents
	if err := json.Unmarshal([]byte(out), &d); err != nil || len(d) != 1 || d[0].Number != 1 || len(d[0].Diffs) != 1 || d[0].Diffs[0].Bytes != 3 {
		t.Errorf("%v, %+v", err, d)
	}
	_, errs := dsmlog(t, cli.Failed, "dump", "--checkpoint", "9", node)
	has(t, errs, "checkpoint 9 is not kept")
}

func TestVerify(t *testing.T) {
	run, node := folder(t)
	out, _ := dsmlog(t, cli.OK, "verify", run)
	has(t, out, "P0 checkpoint 1: ok", "P0 checkpoint 2: ok")
	path := filepath.Join(node, "ckpt-2", "pages-2")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[5]++
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ = dsmlog(t, cli.False, "verify", run)
	has(t, out, "P0 checkpoint 1: ok", "P0 checkpoint 2: ", "page 0 in pages-2 has CRC32C")
	out, _ = dsmlog(t, cli.False, "verify", "--json", run)
	has(t, out, `"ok": false`)
	if err := os.Remove(filepath.Join(node, "ckpt-2", "manifest")); err != nil {
		t.Fatal(err)
	}
	out, _ = dsmlog(t, cli.False, "verify", run)
	has(t, out, "no such file")
	out, _ = dsmlog(t, cli.OK, "list", run)
	has(t, out, "no such file")
}

func TestUsage(t *testing.T) {
	_, errs := dsmlog(t, cli.Usage, "verify")
	has(t, errs, "no folder")
	_, errs = dsmlog(t, cli.Failed, "list", t.TempDir())
	has(t, errs, "no node's folder")
}

// A folder that a daemon has is looked at without disturbing it.
func TestInUse(t *testing.T) {
	run, node := folder(t)
	s, err := store.Open(dsm.Config{Nodes: 2, Pages: 4, PageSize: 64}, node)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Mkdir(filepath.Join(node, "new-3"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, _ := dsmlog(t, cli.OK, "list", run)
	has(t, out, "in use", `also there: ["new-3"]`)
}
