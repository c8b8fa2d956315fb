// SPDX-License-Identifier: Apache-2.0

package status

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lazystate/dsm"
	"lazystate/dsm/daemon"
	"lazystate/dsm/transport"
	"lazystate/dsm/vtime"
)

func report(node dsm.NodeID) Report {
	r := Of(dsm.Config{Self: node, Nodes: 12}, time.Unix(5, 0).UTC(), daemon.Status{
		Incarnation: 2, Live: true, Ordinal: 9, Time: vtime.Time{1, 2}, Waiting: "lock 3", LogBytes: 7, Region: 4096, Counters: dsm.Counters{Misses: 4, WindowMost: 3, LogSaved: 5}, Times: daemon.Times{Pages: 6},
	}, 8, []transport.PeerStatus{{Node: 1, Up: true, Silent: time.Second}})
	r.Written = r.Written.UTC().Round(0)
	return r
}

// What is written is read, by node, the last of each.
func TestReports(t *testing.T) {
	run := t.TempDir()
	want := []Report{report(1), report(2), report(11)}
	for _, i := range []int{2, 0, 1, 0} {
		if err := Write(run, want[i]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(run)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	names, err := os.ReadDir(filepath.Join(run, folder))
	if err != nil || len(names) != 3 {
		t.Errorf("%v, %v", names, err)
	}
}

// A report that is none does not hide the others, and has an end.
func TestReportsThatAreNone(t *testing.T) {
	run := t.TempDir()
	if err := Write(run, report(1)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(run, folder)
	if err := os.WriteFile(filepath.Join(dir, "node-3"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "node-4"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "node-5")); err != nil {
		t.Fatal(err)
	}
	got, err := Read(run)
	if len(got) != 1 || err == nil {
		t.Fatalf("%d reports, %v", len(got), err)
	}
	for _, name := range []string{"node-3", "node-4", "node-5"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("no word of %s: %v", name, err)
		}
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no node") {
		t.Errorf("%v", err)
	}
}
