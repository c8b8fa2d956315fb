// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
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

// agentsSteps are those of a move that the client's agent leads, inVain what it does beside
// when nobody answers it.
var (
	agentsSteps = []string{
		"before begin", "after begin", "before MIGRATE_REQUEST", "after MIGRATE_REQUEST", "before switch", "after switch",
		"before RCVD_WHILE_MIGRATING", "after RCVD_WHILE_MIGRATING",
	}
	inVain = []string{"before fall back", "after fall back", "before STAY", "after STAY"}
)

// Kill -9 of the client's agent at each step of a move, and of an attempt that comes to
// nothing; it is started again. The session goes on, at S1 or at S2, as if nothing had
// been; and it can move again, for the next agent knows what the servers have offered.
func TestAgentIsKilled(t *testing.T) {
	for _, step := range drawn(slices.Concat(agentsSteps, inVain), 8) {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t, false)
			pin, patience := bpffs(t), "20s"
			path, err := mortal()
			if err != nil {
				t.Fatal(err)
			}
			vain := slices.Contains(inVain, step)
			if vain {
				patience = "1s"
			}
			a := w.agentOf(path, []string{"MTCPD_ROLE=mtcpd", "MTCPD_KILL=" + step}, "--patience", patience, "--pin", pin)
			end := w.download(own(0, false).Addr(), long)
			l := a.flow()
			if vain {
				w.sites["s2"].scd.kill()
			}
			if err := a.move(l, own(1, false)); err == nil {
				t.Error("the move has succeeded")
			}
			a.died(t)
			if vain {
				w.sites["s2"].startSCD()
			}
			a.env, a.args = []string{"MTCPD_ROLE=mtcpd"}, []string{"--patience", "20s", "--pin", pin}
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
