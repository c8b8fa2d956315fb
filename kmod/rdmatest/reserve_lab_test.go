// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/repair/drill"
	"lazystate/tools/lab"
)

// lease of the module in these tests: a monitor's machine that the host keeps
// away for some seconds is not dead.
const lease = 5 * time.Second

// TestSilentMonitor: a monitor that does nothing keeps its grant, for its NIC
// answers; one whose machine has died loses it within the lease, and may come again.
// Both targets have the monitor at the same time, for most of this is waiting.
func TestSilentMonitor(t *testing.T) {
	type silent struct {
		*loaded
		first, joined *conn
	}
	var both []silent
	for _, kernel := range kernels {
		k := load(t, kernel, fmt.Sprintf("rdma.lease=%d", int(lease.Seconds())))
		a := k.dial(t, hello{})
		both = append(both, silent{k, a, k.dial(t, hello{join: a.grant.Grant})})
	}
	time.Sleep(2 * lease)
	for _, s := range both {
		if lines := s.grants(t, 1); !strings.Contains(lines[0], "qps 2 ") {
			t.Errorf("%s: after two leases of nothing: %q", s.addr, lines)
		}
		s.first.stands(t)
		s.joined.stands(t)
	}

	far := watcher(t)
	if err := far.Stop(t.Context()); err != nil { // its vCPUs: nobody says goodbye
		t.Fatal(err)
	}
	stopped := time.Now()
	t.Cleanup(func() { far.Cont(context.Background()) })
	for _, s := range both {
		s.grants(t, 0)
		t.Logf("%s: its grant has ended %v after it stopped; the lease is %v", s.addr, time.Since(stopped).Round(time.Millisecond), lease)
	}
	if err := far.Cont(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range both {
		s.first.gone(t)
		s.joined.gone(t)
		c := s.dial(t, hello{})
		c.stands(t)
		c.close(t)
		s.healthy(t)
	}
}

// TestNoLease: who asks for it keeps a dead monitor's grant.
func TestNoLease(t *testing.T) {
	k := load(t, "6.1", "rdma.lease=0")
	a := k.dial(t, hello{})
	far := watcher(t)
	t.Cleanup(func() { far.Cont(context.Background()) })
	if err := far.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * lease)
	k.grants(t, 1)
	if err := far.Cont(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.stands(t)
	a.close(t)
}

var restarts = lab.Count(2, 6)

// TestRestartUnderHog: while processes eat all memory a monitor is restarted, time
// and again: it gets in, and reads.
func TestRestartUnderHog(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		first := k.dial(t, hello{})
		k.spares(t)
		// Thirty hogs of 64 MiB, and who is killed comes again.
		pid, err := k.vm.Start(t.Context(), lab.Proc{Argv: []string{rogue, "hog-pool", "30", "64"}, UID: drill.RogueUID})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.vm.Kill(context.Background(), -pid, syscall.SIGKILL) })
		k.untilFull(t)
		for i := range restarts {
			began, tries := time.Now(), 0
			var c *conn
			for c == nil {
				tries++
				if c, err = k.tryDial(t, hello{flags: uapi.HelloTakeover}); err != nil && time.Since(began) > 2*time.Minute {
					t.Fatalf("restart %d: not let in in two minutes: %v; spares: %s", i, err, k.file(t, "/sys/kernel/backdoor_rdma/spares"))
				}
			}
			in := time.Since(began)
			if regions := c.table(t); len(regions) < 10 {
				t.Errorf("restart %d: only %d regions", i, len(regions))
			}
			t.Logf("restart %d: in after %v, at try %d", i, in.Round(time.Millisecond), tries)
			if i == 0 {
				first.gone(t)
			}
		}
		k.healthy(t)
	})
}

// spares waits until one is ready.
func (k *loaded) spares(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		text := k.file(t, "/sys/kernel/backdoor_rdma/spares")
		if strings.Contains(text, "ready 1") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no spare is ready: %q", text)
		}
	}
}

// untilFull waits until memory is used up and the machine swaps, or kills.
func (k *loaded) untilFull(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var total, available int
		text := k.file(t, "/proc/meminfo")
		for line := range strings.Lines(text) {
			fmt.Sscanf(line, "MemTotal: %d", &total)
			fmt.Sscanf(line, "MemAvailable: %d", &available)
		}
		if available < total/16 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("memory is not used up: %s", text)
		}
	}
}
