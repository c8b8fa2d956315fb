// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/mtcp/steer"
	"lazystate/tools/lab"
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

// Kill -9 of a gateway's daemon at each of its steps; it is started again. The session
// goes on, and can move again.
func TestGatewayIsKilled(t *testing.T) {
	for _, step := range []string{"before hold", "after hold", "before switch", "after switch"} {
		t.Run(step, func(t *testing.T) {
			if err := steer.Probe(); err != nil {
				lab.Skip(t, err.Error())
			}
			path, err := mortal()
			if err != nil {
				t.Fatal(err)
			}
			g := &gate{dir: t.TempDir(), path: path, env: []string{"MTCPD_ROLE=mtcpd", "MTCPD_KILL=" + step}, args: []string{"--pin", bpffs(t)}}
			w := newGatedBy(t, g)
			end := w.download(own(0, false).Addr(), long)
			at, id := w.only()
			result := make(chan error, 1)
			go func() { result <- at.ctl("move", "--by", "gateway", "--to", "s2", id) }()
			select {
			case <-g.ended():
			case <-time.After(hang):
				t.Fatal("the gateway did not get to where it is killed")
			}
			g.env = g.env[:1]
			g.start(w)
			t.Logf("the move: %v", <-result)
			at.await("another move", func() bool {
				now, id := w.only()
				err := now.ctl("move", "--by", "gateway", "--to", w.other(now), id)
				if err != nil {
					t.Log(err)
				}
				return err == nil
			})
			end()
		})
	}
}
