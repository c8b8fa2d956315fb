// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/tools/control"
	"lazystate/tools/lab"
)

const healer = `    repair: {coalesce: 20ms, cool_down: 100ms, attempts: 1}
    healers: [{kind: proc, sensors: [NPROCS], policy: {POLICY_TOO_MANY_PROCS: 100}, confirm: 200ms}]
`

// bomb fills the process table, and says so in the Sensor Box.
func (r *rig) bomb() {
	for range 150 {
		r.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"})
	}
	r.SetValue(r.nprocs, 400)
}

func (r *rig) bombs() (n int) {
	for _, p := range r.Processes() {
		if p.Comm == "bomb" {
			n++
		}
	}
	return n
}

// Two monitors, one target: the first heals, the second watches; the first is
// killed in the midst of it, the second heals on, within a lease.
func TestSecondMonitorTakesOver(t *testing.T) {
	c := newCrew(t, "a", "b")
	for _, m := range c.mates {
		c.configure(m, c.static(m, ""), healer)
	}
	a, b := c.mates[0], c.mates[1]
	ca := c.run(a)
	first := c.whenOwns(a, ca)
	cb := c.run(b)
	b.up(t, cb)
	b.eventually(t, "b knows the owner", func() bool {
		got := owner(t, cb)
		return got.Owner == "a" && got.Epoch == first.Epoch && got.Phase == "idle" && got.Path == "good" && len(got.Monitors) == 2 && got.Monitors[0].Alive
	})
	if err := cb.Call(control.Request{Cmd: "kill", Target: "t1", PID: 1}, nil); err == nil || !strings.Contains(err.Error(), "does not own") {
		t.Errorf("b kills by hand: %v", err)
	}
	c.bomb()
	a.end(t, syscall.SIGKILL)
	killed := time.Now()
	second := c.whenOwns(b, cb)
	t.Logf("replaced %v after its death; its lease is 1s", time.Since(killed).Round(10*time.Millisecond))
	if second.Epoch <= first.Epoch {
		t.Errorf("epoch %d after %d", second.Epoch, first.Epoch)
	}
	b.eventually(t, "the bomb is gone", func() bool { return c.bombs() == 0 })
	c.SetValue(c.nprocs, 10)
	// Its successor keeps it when it comes back.
	ca = c.run(a)
	a.up(t, ca)
	a.eventually(t, "a knows the owner", func() bool { return owner(t, ca).Owner == "b" })
	c.changes()
}

// A monitor that ends by itself hands over, and waits for nobody's silence.
func TestMonitorThatEndsHandsOver(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "a", "b")
	for _, m := range c.mates { // who does not run for a second is not silent
		c.configure(m, strings.Replace(c.static(m, ""), "lease: 1s", "lease: 8s", 1), healer)
	}
	a, b := c.mates[0], c.mates[1]
	ca := c.run(a)
	c.whenOwns(a, ca)
	cb := c.run(b)
	b.eventually(t, "b knows the owner", func() bool { return owner(t, cb).Owner == "a" })
	if err := ca.Call(control.Request{Cmd: "lock", Target: "t1", LeaseMs: 30_000}, nil); err != nil {
		t.Fatal(err)
	}
	a.end(t, syscall.SIGTERM)
	c.whenOwns(b, cb)
	if _, held := c.LockHolder(); held {
		t.Error("the target was handed over frozen")
	}
	log := c.bytesOf(a, "audit.jsonl")
	for _, want := range []string{`"step":"unlock"`, `"step":"yield"`, `"to":"b"`, `"step":"released"`} {
		if !strings.Contains(log, want) {
			t.Errorf("a's log has no %s:\n%s", want, log)
		}
	}
	if strings.Contains(b.stderr.String(), "silent") {
		t.Errorf("b waited for a's silence:\n%s", b.stderr)
	}
	c.changes()
}

// The first of the order has no link to the target: the second owns it (§3.4.2).
func TestMonitorWithoutLinkOwnsNothing(t *testing.T) {
	c := newCrew(t, "a", "b")
	for _, m := range c.mates {
		probe := ""
		if m.name == "a" {
			probe = "    probe: {interface: nosuchif0}\n"
		}
		c.configure(m, c.static(m, ""), probe)
	}
	a, b := c.mates[0], c.mates[1]
	ca := c.run(a)
	a.eventually(t, "a sees that its link fails", func() bool { return owner(t, ca).Path == "failed" })
	cb := c.run(b)
	c.whenOwns(b, cb)
	a.eventually(t, "a knows the owner", func() bool { return owner(t, ca).Owner == "b" })
	b.eventually(t, "b knows why", func() bool { return owner(t, cb).Monitors[0].Path == "failed" }) // it may own before it has heard of a
}

// Monitors are killed and ended at any moment of a hand-over, again and again:
// never two owners, epochs rise, and whoever is left owns the target.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	c := newCrew(t, "a", "b", "c")
	for _, m := range c.mates {
		c.configure(m, c.static(m, ", failback: true, settle: 50ms"), healer)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	clients := map[*mate]*control.Client{}
	for _, m := range c.mates {
		clients[m] = c.run(m)
	}
	rounds := lab.Count(3, 12)
	for round := range rounds {
		c.bomb()
		victim := c.mates[rng.IntN(len(c.mates))]
		if round%3 != 0 { // the owner
			c.eventually(t, "somebody owns the target", func() bool {
				for _, m := range c.mates {
					if owner(t, clients[m]).Phase == "owning" {
						victim = m
						return true
					}
				}
				return false
			})
		}
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		if rng.IntN(2) == 0 { // it begins to hand over, and is killed in the midst of that
			victim.cmd.Process.Signal(syscall.SIGTERM)
			time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
		}
		victim.end(t, syscall.SIGKILL)
		c.eventually(t, fmt.Sprintf("round %d: the bomb is gone", round), func() bool {
			if c.bombs() == 0 {
				c.SetValue(c.nprocs, 10)
				return true
			}
			return false
		})
		clients[victim] = c.run(victim)
	}
	all := c.changes()
	if len(all) < rounds {
		t.Errorf("only %d changes of owner", len(all))
	}
	if t.Failed() {
		c.tellAll()
	}
}
