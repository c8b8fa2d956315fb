// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/tools/lab"
)

// TestInjectHaltAndDeadlock: a CPU that is halted for good, and one that takes
// a lock twice, stand still, and the other one goes on. In make test one on each
// kernel.
func TestInjectHaltAndDeadlock(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		for i, c := range []struct{ fault, dies, lives string }{
			{"halt 1", "TICKS.1", "TICKS.0"},
			{"deadlock spin 0", "TICKS.0", "TICKS.1"},
		} {
			if !isFor(kernel, i) {
				continue
			}
			t.Run(c.dies, func(t *testing.T) {
				k := doomed(t, kernel)
				k.kill(t, c.fault)
				then := k.still(t, c.dies)
				v := k.eventually(t, "the other CPU goes on", func(v *view) bool {
					return v.named(t, c.lives).Value > then.named(t, c.lives).Value+20
				})
				if a, b := then.named(t, c.dies).Value, v.named(t, c.dies).Value; a != b {
					t.Errorf("%s went from %d to %d", c.dies, a, b)
				}
			})
		}
	})
}

// noDebugger: Debian's kernels have none, and the module says so.
func (k *loaded) noDebugger(t *testing.T) {
	if err := k.trigger(t, "debugger"); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("without a debugger in the kernel: %v", err)
	}
	k.quiet(t)
}

// interrupts is what a CPU took of an interrupt, by the end of its line in
// /proc/interrupts, or of a softirq, by the line's beginning.
func (k *loaded) interrupts(t *testing.T, file, name string, cpu int) (n uint64) {
	t.Helper()
	for line := range strings.Lines(k.guestFile(t, file)) {
		f := strings.Fields(line)
		if len(f) > cpu+1 && (f[0] == name || f[len(f)-1] == name) {
			fmt.Sscan(f[cpu+1], &n)
			return n
		}
	}
	t.Fatalf("no %s in %s", name, file)
	return 0
}

// lostInterrupt: a read of a disk whose interrupt is lost does not
// end before the interrupt is given back.
func (k *loaded) lostInterrupt(t *testing.T) {
	device := k.disk(t)
	taken := func() uint64 {
		return k.interrupts(t, "/proc/interrupts", device, 0) + k.interrupts(t, "/proc/interrupts", device, 1)
	}
	read := func(block int) int {
		argv := []string{"/bin/busybox", "dd", "if=/dev/vda", "of=/dev/null", "bs=4096", "count=1", fmt.Sprint("skip=", block)}
		return k.start(t, lab.Proc{Argv: argv, CPUs: []int{0}})
	}
	before := taken()
	if exit, err := k.vm.Wait(t.Context(), read(5000)); err != nil || exit != 0 || taken() == before {
		t.Fatalf("a healthy read: exit %d, %v, interrupts %d and %d", exit, err, before, taken())
	}
	if err := k.trigger(t, "lose_irq "+device+" 8000"); err != nil {
		t.Fatal(err)
	}
	fault := k.kthread(t, "bd_inject/0")
	k.becomes(t, fault, "D") // it sleeps when the interrupt is off, and as long as it is
	before = taken()
	pid := read(10000)
	k.becomes(t, pid, "D")
	time.Sleep(300 * time.Millisecond) // longer than a healthy disk takes
	if is := k.state(t, pid); is != "D" || taken() != before {
		t.Errorf("under the fault the reader is in state %q, interrupts %d and %d", is, before, taken())
	}
	if exit, err := k.vm.Wait(t.Context(), pid); err != nil || exit != 0 || taken() == before {
		t.Errorf("after the fault: exit %d, %v, interrupts %d and %d", exit, err, before, taken())
	}
}

// disk finds the interrupt of the swap disk's queue of CPU 0.
func (k *loaded) disk(t *testing.T) string {
	t.Helper()
	for f := range strings.FieldsSeq(k.guestFile(t, "/proc/interrupts")) {
		if strings.HasSuffix(f, "-req.0") {
			return f
		}
	}
	t.Fatal("no disk in /proc/interrupts")
	return ""
}

// softirqStorm: tasklets without an end on CPU 1, whose clock ticks
// all the same.
func (k *loaded) softirqStorm(t *testing.T) {
	storm := func() uint64 { return k.interrupts(t, "/proc/softirqs", "HI:", 1) }
	before, ticks := storm(), k.fetch(t).named(t, "TICKS.1").Value
	if err := k.trigger(t, "softirq_storm 1 2000"); err != nil {
		t.Fatal(err)
	}
	k.eventually(t, "a thousand tasklets, and CPU 1 ticks", func(v *view) bool {
		return storm() > before+1000 && v.named(t, "TICKS.1").Value > ticks+20
	})
	last, since := storm(), time.Now()
	k.eventually(t, "half a second without tasklets", func(*view) bool {
		if n := storm(); n > last+5 {
			last, since = n, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	})
}

// slowHeart: the heart beats, but late, on a CPU that is taken from it,
// and has its own CPUs back afterwards: here one that was chosen for it.
func (k *loaded) slowHeart(t *testing.T) {
	pid := k.kthread(t, "bd_heart")
	if _, err := k.vm.Must(t.Context(), "/bin/busybox", "taskset", "-p", "1", fmt.Sprint(pid)); err != nil {
		t.Fatal(err)
	}
	healthy := k.beats(t)
	if err := k.trigger(t, "slow bd_heart 1 5000"); err != nil {
		t.Fatal(err)
	}
	cpus := func() string {
		return k.word(t, fmt.Sprintf("/proc/%d/status", pid), "Cpus_allowed_list")
	}
	k.eventually(t, "the heart is on CPU 1", func(*view) bool { return cpus() == "1" })
	first := k.fetch(t)
	last, next := first, k.fetch(t)
	for cpus() == "1" { // it was so when next was fetched
		last, next = next, k.fetch(t)
	}
	if last.Header.MonoNs < first.Header.MonoNs+uint64(time.Second) {
		t.Fatal("the heart was back before anybody could count")
	}
	slow := rate(t, first, last)
	k.eventually(t, "the heart is back on CPU 0", func(*view) bool { return cpus() == "0" })
	healthy = max(healthy, k.beats(t)) // a busy host slows it too
	if slow == 0 || slow > healthy*3/4 {
		t.Errorf("%.1f beats a second in health, %.1f when crowded out", healthy, slow)
	}
}

// beats a second, of the target's clock.
func (k *loaded) beats(t *testing.T) float64 {
	t.Helper()
	a := k.fetch(t)
	time.Sleep(1500 * time.Millisecond)
	return rate(t, a, k.fetch(t))
}

func rate(t *testing.T, a, b *view) float64 {
	t.Helper()
	return float64(b.named(t, "KTHREAD").Value-a.named(t, "KTHREAD").Value) * 1e9 / float64(b.Header.MonoNs-a.Header.MonoNs)
}

func (k *loaded) kthread(t *testing.T, name string) int {
	t.Helper()
	all, err := k.vm.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.PPID == 2 && strings.Contains(p.Comm, name) {
			return p.PID
		}
	}
	t.Fatalf("no kernel thread %s", name)
	return 0
}
