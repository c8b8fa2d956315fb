// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// The machines that tests have shared end here: the name of this file comes last.

// lastOf is such a machine with the module loaded; it is thrown away.
func lastOf(t *testing.T, kernel string) *loaded {
	t.Helper()
	k := &loaded{vm: machine(t, kernel)}
	t.Cleanup(func() {
		if err := k.vm.Down(); err != nil {
			t.Error(err)
		}
	})
	k.insert(t, "allow_repair=1")
	return k
}

// TestPowerOffKnob: the machine is off, and that is what is said of it.
func TestPowerOffKnob(t *testing.T) {
	k := lastOf(t, "6.1")
	resets := k.vm.Info().Resets()
	_, err := k.hooks(t, slot, key).PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobPowerOff, Value: 1})
	if err != nil && !errors.Is(err, backdoor.ErrGone) {
		t.Fatal(err)
	}
	select {
	case <-k.vm.Exited():
	case <-time.After(time.Minute):
		t.Fatal("a minute and the machine is on")
	}
	if n := k.vm.Info().Resets(); n != resets {
		t.Errorf("%d resets, there were %d before", n, resets)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := k.target.Tasks(ctx, backdoor.WalkOptions{}); !errors.Is(err, backdoor.ErrGone) {
		t.Errorf("of a machine that is off: %v", err)
	}
}

// TestKillQEMUUnderLock: what had the machine is killed while a lock and a walk are
// under way.
func TestKillQEMUUnderLock(t *testing.T) {
	k := lastOf(t, "6.12")
	k.losesMachine(t, func() {
		if err := syscall.Kill(k.vm.Info().QEMUPID, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}, backdoor.ErrGone)
}

// TestMachineStartsAgain: its reset is pressed, and its kernel panics.
func TestMachineStartsAgain(t *testing.T) {
	t.Parallel() // see ownMachine
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		// one CPU: a boot of two, which a reset is, can be the end of QEMU
		vm := ownMachine(t, lab.Config{Kernel: kernel, VCPUs: 1, Append: "panic=5"})
		k := &loaded{vm: vm}
		k.insert(t, "allow_repair=1")
		k.resetUnderLock(t)
		if err := k.mem.Close(); err != nil { // one writes at a time
			t.Fatal(err)
		}
		k = &loaded{vm: vm}
		k.insert(t)
		k.panicThatReboots(t)
	})
}
