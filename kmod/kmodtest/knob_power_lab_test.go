// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// TestRebootKnob: the machine starts again, also where all CPUs are held, and
// the target that was opened before is never believed again.
func TestRebootKnob(t *testing.T) {
	t.Run("6.1", func(t *testing.T) {
		t.Parallel() // as in onEach
		reboots(t, "6.1", func(*loaded) {})
	})
	t.Run("6.12-locked", func(t *testing.T) {
		t.Parallel()
		reboots(t, "6.12", func(k *loaded) { k.lock(t, uapi.LockNMI, 10*time.Second) })
	})
}

func reboots(t *testing.T, kernel string, prepare func(*loaded)) {
	vm := machine(t, kernel)
	was, err := vm.BootID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := &loaded{vm: vm}
	k.insert(t, "allow_repair=1")
	prepare(k)
	_, err = k.hooks(t, slot, key).PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobReboot, Value: 1})
	if err != nil && !errors.Is(err, backdoor.ErrReplaced) {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); vm.Info().Resets() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a minute and QEMU tells of no reset")
		}
	}
	k.away(t, backdoor.ErrReplaced)
	if err := vm.WaitBoot(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	if now, err := vm.BootID(t.Context()); err != nil || now == was {
		t.Errorf("boot id %s, was %s: %v", now, was, err)
	}
	k.away(t, backdoor.ErrReplaced)
	if _, err := backdoor.Open(t.Context(), k.mem); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("opened without a module: %v", err)
	}
	if err := vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vm.Rmmod(context.Background(), "backdoor"); err != nil {
			t.Error(err)
		}
	})
	if _, err := backdoor.Open(t.Context(), k.mem); err != nil {
		t.Errorf("the new boot: %v", err)
	}
	k.away(t, backdoor.ErrReplaced)
}
