// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"lazystate/internal/pause"
	"lazystate/tools/lab"
)

const trigger = "/sys/module/bd_inject/parameters/trigger"

// inject loads both modules.
func inject(t *testing.T, kernel string, params ...string) *loaded {
	t.Helper()
	k := load(t, kernel, params...)
	ko := lab.Module(t, k.vm, "inject/bd_inject")
	if err := k.vm.Insmod(t.Context(), ko, "i_am_a_lab=1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := errors.Join(k.faultsOver(ctx), k.vm.Rmmod(ctx, "bd_inject")); err != nil {
			t.Error(err)
		}
	})
	return k
}

// faultsOver waits until no fault holds the module: its thread lets go of that
// some time after the CPU has gone on.
func (k *loaded) faultsOver(ctx context.Context) error {
	for {
		b, err := k.vm.ReadFile(ctx, "/sys/module/bd_inject/refcnt")
		if err != nil || strings.TrimSpace(string(b)) == "0" {
			return err
		}
		if err := pause.For(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (k *loaded) trigger(t *testing.T, fault string) error {
	t.Helper()
	return k.vm.WriteFile(t.Context(), trigger, []byte(fault), 0)
}

func TestInjectRefusesOutsideTheLab(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		vm := machine(t, kernel)
		if err := vm.Insmod(t.Context(), lab.Module(t, vm, "inject/bd_inject")); err == nil {
			vm.Rmmod(t.Context(), "bd_inject")
			t.Fatal("loaded without i_am_a_lab=1")
		}
	})
}

// TestInject: faults that end, one after the other. In make test they take turns on
// the kernels, but for the spinning CPU of most drills.
func TestInject(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		steps := []step{{"nonsense", (*loaded).refusesNonsense}, {"debugger", (*loaded).noDebugger}, {"spin", stalls("spin 1 5000")}}
		for i, s := range []step{
			{"slow", (*loaded).slowHeart}, {"lost interrupt", (*loaded).lostInterrupt},
			{"masked APIC", stalls("mask_apic 1 5000")}, {"stopped timers", stalls("stop_timers 1 5000")},
			{"softirq storm", (*loaded).softirqStorm},
		} {
			if isFor(kernel, i) {
				steps = append(steps, s)
			}
		}
		inject(t, kernel).each(t, steps)
	})
}

func (k *loaded) refusesNonsense(t *testing.T) {
	for _, bad := range []string{"spin", "spin 9 100", "spin 0", "spin 0 x", "halt", "crash_irq", "dance", "panic now",
		"corrupt 10 colour 3", "corrupt 99999 value 3", "debugger"} {
		if err := k.trigger(t, bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestInjectCorrupt: each corruption is seen, and named, by the monitor's view. Each
// spoils the box for good: in make test every second one on each kernel.
func TestInjectCorrupt(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		for i, c := range []struct{ fault, want string }{
			{"corrupt 10 class 9", "record"},
			{"corrupt 10 flags 0x8000", "flags"},
			{"corrupt 10 name 0x0101010101010101", "name"},
			{"corrupt 11 id 10", "twice"},
			{"corrupt 0 count 4096", "4096 records used"},
			{"corrupt 0 magic 1", "magic"},
			{"corrupt 0 record_size 7", "records of 7"},
		} {
			if !isFor(kernel, i) {
				continue
			}
			t.Run(strings.ReplaceAll(c.fault, " ", "_"), func(t *testing.T) {
				k := inject(t, kernel)
				if err := k.trigger(t, c.fault); err != nil {
					t.Fatal(err)
				}
				v := &view{}
				var said []string
				if err := k.decode(t, v); err != nil {
					said = append(said, err.Error())
				}
				for _, d := range v.Defects {
					said = append(said, d.String())
				}
				if !strings.Contains(strings.Join(said, "\n"), c.want) {
					t.Errorf("the view says %q, want %q", said, c.want)
				}
			})
		}
	})
}

// stalls: a fault of CPU 1 stops its own clock for a second and no other, and it
// goes on afterwards.
func stalls(fault string) func(*loaded, *testing.T) {
	return func(k *loaded, t *testing.T) {
		done := make(chan error, 1) // who triggers may run on that CPU
		go func() { done <- k.trigger(t, fault) }()
		ones, zeros, since := uint64(0), uint64(0), time.Now()
		k.eventually(t, "a second without a tick of CPU 1, CPU 0 ticking", func(v *view) bool {
			if one := v.named(t, "TICKS.1").Value; one != ones {
				ones, zeros, since = one, v.named(t, "TICKS.0").Value, time.Now()
			}
			return time.Since(since) > time.Second && v.named(t, "TICKS.0").Value > zeros+20
		})
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		k.eventually(t, "CPU 1 ticks again", func(v *view) bool { return v.named(t, "TICKS.1").Value > ones+10 })
	}
}

// TestInjectCrash: a disk's driver takes the null pointer, in its handler and not before
// the disk has an interrupt, and nothing runs after it. A panic is TestPanicStamp's, on
// both kernels.
func TestInjectCrash(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := doomed(t, kernel)
		if err := k.trigger(t, "crash_irq "+k.disk(t)); err != nil {
			t.Fatal(err)
		}
		ticks := k.fetch(t).named(t, "TICKS.0").Value
		k.eventually(t, "the machine goes on until the disk is asked", func(v *view) bool { return v.named(t, "TICKS.0").Value > ticks+20 })
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		go k.vm.Start(ctx, lab.Proc{Argv: []string{"/bin/busybox", "dd", "if=/dev/vda", "of=/dev/null", "bs=4096"}, CPUs: []int{0}})
		k.still(t, "TICKS.0", "TICKS.1")
		const word = "Fatal exception in interrupt"
		if serial, err := os.ReadFile(k.vm.Serial()); err != nil || !strings.Contains(string(serial), word) {
			t.Errorf("the console does not say %q: %v", word, err)
		}
	})
}

// doomed loads both modules into a machine that the test stops for good. It is
// thrown away, not reset: QEMU's TCG has died of a reset of such a machine.
func doomed(t *testing.T, kernel string, params ...string) *loaded {
	t.Helper()
	k := &loaded{vm: machine(t, kernel)} // not load: nothing can be unloaded afterwards
	t.Cleanup(func() {
		if err := k.vm.Down(); err != nil {
			t.Error(err)
		}
	})
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor"), params...); err != nil {
		t.Fatal(err)
	}
	if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "inject/bd_inject"), "i_am_a_lab=1"); err != nil {
		t.Fatal(err)
	}
	k.open(t)
	return k
}

// kill triggers a fault that may leave nobody to answer.
func (k *loaded) kill(t *testing.T, fault string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go k.vm.WriteFile(ctx, trigger, []byte(fault), 0)
}

// still waits until these sensors have stood still for two seconds.
func (k *loaded) still(t *testing.T, names ...string) *view {
	t.Helper()
	last, since := uint64(0), time.Now()
	return k.eventually(t, strings.Join(names, " and ")+" stand still for 2 s", func(v *view) bool {
		n := uint64(0)
		for _, name := range names {
			n += v.named(t, name).Value
		}
		if n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
}
