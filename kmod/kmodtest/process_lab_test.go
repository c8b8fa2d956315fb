// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lazystate/tools/lab"
)

// drive starts a mode of kmod/test/drive.c, and returns what ends it.
func (k *loaded) drive(t *testing.T, program string, p lab.Proc, mode string, n uint64) (end func()) {
	t.Helper()
	p.Argv = []string{program, mode, fmt.Sprint(n)}
	pid := k.start(t, p)
	end = func() {
		k.vm.Kill(context.Background(), -pid, 9)
		k.vm.Wait(context.Background(), pid) // a second end finds nobody
	}
	t.Cleanup(end)
	return end
}

// word is what follows a key at the beginning of a line of a file.
func (k *loaded) word(t *testing.T, file, key string) string {
	t.Helper()
	for line := range strings.Lines(k.guestFile(t, file)) {
		if f := strings.Fields(line); len(f) > 1 && strings.TrimSuffix(f[0], ":") == key {
			return f[1]
		}
	}
	t.Fatalf("no %s in %s", key, file)
	return ""
}

func (k *loaded) stat(t *testing.T, file, key string) (n uint64) {
	t.Helper()
	if _, err := fmt.Sscan(k.word(t, file, key), &n); err != nil {
		t.Fatalf("%s of %s: %v", key, file, err)
	}
	return n
}

// loadavg is the average in hundredths, and the fourth field's two halves.
func (k *loaded) loadavg(t *testing.T) (centi, running, threads uint64) {
	t.Helper()
	var whole, part uint64
	var rest string
	text := k.guestFile(t, "/proc/loadavg")
	if n, err := fmt.Sscanf(text, "%d.%d %s %s %d/%d", &whole, &part, &rest, &rest, &running, &threads); n != 6 {
		t.Fatalf("/proc/loadavg %q: %v", text, err)
	}
	return whole*100 + part, running, threads
}

// TestProcessSensors drives each count of the census and compares it with the
// guest's own /proc. The kernel's counts have kernel threads in them, so it is
// the differences that must agree.
func TestProcessSensors(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		program := guestProgram(t, k.vm, "drive")
		k.threadsAndZombies(t, program)
		k.runQueue(t, program)
		k.forkRate(t)
		k.switches(t, program)
	})
}

func (k *loaded) threadsAndZombies(t *testing.T, program string) {
	t.Helper()
	before := k.fetch(t)
	_, _, all := k.loadavg(t)
	const threads, dead = 200, 30
	end := k.drive(t, program, lab.Proc{}, "threads", threads)
	was := before.named(t, "NTHREADS").Value
	v := k.eventually(t, "200 threads and their leader more", func(v *view) bool {
		return near(v.named(t, "NTHREADS").Value, was+threads+1, 2)
	})
	if _, _, now := k.loadavg(t); !near(now-all, v.named(t, "NTHREADS").Value-was, 8) {
		t.Errorf("/proc/loadavg has %d threads more, NTHREADS %d", now-all, v.named(t, "NTHREADS").Value-was)
	}
	end()
	k.eventually(t, "no more of these threads", func(v *view) bool { return near(v.named(t, "NTHREADS").Value, was, 2) })

	end = k.drive(t, program, lab.Proc{}, "zombies", dead)
	k.eventually(t, "as many zombies as the guest's ps shows, 30 more than before", func(v *view) bool {
		n := v.named(t, "ZOMBIES").Value
		return n == before.named(t, "ZOMBIES").Value+dead && n == k.zombies(t)
	})
	end()
	k.eventually(t, "the zombies are reaped", func(v *view) bool {
		return v.named(t, "ZOMBIES").Value == before.named(t, "ZOMBIES").Value
	})
}

func (k *loaded) zombies(t *testing.T) (n uint64) {
	t.Helper()
	all, err := k.vm.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.State == "Z" {
			n++
		}
	}
	return n
}

// runQueue: twelve processes that never sleep; the load average, which the
// kernel makes every five seconds, rises with them.
func (k *loaded) runQueue(t *testing.T, program string) {
	t.Helper()
	const spinners = 12
	before := k.fetch(t)
	end := k.drive(t, program, lab.Proc{Nice: 19}, "spin", spinners)
	k.eventually(t, "twelve runnable threads, and /proc agrees", func(v *view) bool {
		n := v.named(t, "RUNQUEUE").Value
		_, running, _ := k.loadavg(t)
		return near(n, spinners, 1) && near(running, n, 4)
	})
	k.eventually(t, "a load average that rises and is /proc's", func(v *view) bool {
		n := v.named(t, "LOADAVG").Value
		is, _, _ := k.loadavg(t)
		return n > before.named(t, "LOADAVG").Value+20 && near(n, is, 1)
	})
	end()
	k.eventually(t, "nobody is runnable any more", func(v *view) bool { return v.named(t, "RUNQUEUE").Value < 3 })
}

// forkRate: the rate of the busiest user agrees with the kernel's own count of
// forks over the same time, and falls to nothing.
func (k *loaded) forkRate(t *testing.T) {
	t.Helper()
	script := "while :; do (:); (:); (:); (:); done"
	pid := k.start(t, lab.Proc{Argv: []string{"/bin/busybox", "sh", "-c", script}, UID: 778})
	k.eventually(t, "forks", func(v *view) bool { return v.named(t, "MAXPROCRATE_PERUID").Value > 10 })
	born, mono := k.stat(t, "/proc/stat", "processes"), k.fetch(t).Header.MonoNs
	var sum, n float64
	for range 40 {
		sum, n = sum+float64(k.fetch(t).named(t, "MAXPROCRATE_PERUID").Value), n+1
		time.Sleep(50 * time.Millisecond)
	}
	born = k.stat(t, "/proc/stat", "processes") - born
	took := float64(k.fetch(t).Header.MonoNs-mono) / 1e9
	if rate, mean := float64(born)/took, sum/n; mean < rate/2 || mean > rate*2 {
		t.Errorf("the kernel forked %.0f times a second, MAXPROCRATE_PERUID is %.0f in the mean", rate, mean)
	}
	k.vm.Kill(t.Context(), -pid, 9)
	k.vm.Wait(t.Context(), pid)
	k.eventually(t, "no forks", func(v *view) bool { return v.named(t, "MAXPROCRATE_PERUID").Value == 0 })
}

// switches: on the CPU where two processes play ping-pong, two a round; the
// total is what /proc/stat counts.
func (k *loaded) switches(t *testing.T, program string) {
	t.Helper()
	const rounds = 3000
	first, v0 := k.stat(t, "/proc/stat", "ctxt"), k.fetch(t)
	_, err := k.vm.RunProc(t.Context(), lab.Proc{Argv: []string{program, "pingpong", fmt.Sprint(rounds)}, CPUs: []int{1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	t.Cleanup(func() { t.Log(said) })
	k.eventually(t, "the switches are summed, by the poller, to what /proc/stat counts", func(v1 *view) bool {
		grown := func(name string) uint64 { return v1.named(t, name).Value - v0.named(t, name).Value }
		all := k.stat(t, "/proc/stat", "ctxt") - first
		n, each := grown("CTXSW"), grown("CTXSW.0")+grown("CTXSW.1")
		said = fmt.Sprintf("%d rounds on CPU 1: CTXSW.1 rose by %d, CTXSW by %d, the CPUs' own by %d, ctxt of /proc/stat by %d", rounds, grown("CTXSW.1"), n, each, all)
		return grown("CTXSW.1") >= 2*rounds && near(n, each, 100) && near(n, all, 300+all/10)
	})
}
