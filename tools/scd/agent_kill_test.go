// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// bpffs mounts a BPF file system for a test.
func bpffs(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bpf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return filepath.Join(dir, "agent")
}

// Kill -9 of the client's agent at each step of a move; it is started again. The
// session goes on, at S1 or at S2, as if nothing had been; and it can move again, for
// the next agent knows what the servers have offered.
func TestAgentIsKilled(t *testing.T) {
	for _, step := range []string{
		"before begin", "after begin", "before MIGRATE_REQUEST", "after MIGRATE_REQUEST", "before switch", "after switch",
		"before RCVD_WHILE_MIGRATING", "after RCVD_WHILE_MIGRATING",
	} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, false)
			pin := bpffs(t)
			path, err := mortal()
			if err != nil {
				t.Fatal(err)
			}
			a := w.agentOf(path, []string{"MTCPD_ROLE=mtcpd", "MTCPD_KILL=" + step}, "--patience", "20s", "--pin", pin)
			end := w.download(own(0, false).Addr(), long)
			l := a.flow()
			if err := a.move(l, own(1, false)); err == nil {
				t.Error("the move has succeeded")
			}
			a.died(t)
			a.env = []string{"MTCPD_ROLE=mtcpd"}
			a.start()
			var now line
			w.sites["s1"].await("the end of the move", func() bool {
				all := a.connections()
				if len(all) != 1 {
					t.Fatalf("%d connections are left of one", len(all))
				}
				now = all[0]
				return !now.Moving
			})
			t.Logf("it is at %s", now.At)
			to := own(1, false)
			if now.At == to.String() {
				to = own(0, false)
			}
			w.sites["s1"].await("another move", func() bool {
				err := a.move(now, to)
				if err != nil {
					t.Log(err)
				}
				return err == nil
			})
			end()
		})
	}
}
