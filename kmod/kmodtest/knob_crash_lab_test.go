// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/kernel"
)

// crashKernel loads the machine's own kernel and initrd once more, for a crash.
func (k *loaded) crashKernel(t *testing.T, release string) {
	t.Helper()
	if _, err := k.vm.Must(t.Context(), k.nextKernel(t, release)...); err != nil {
		t.Fatal(err)
	}
	if got := k.guestFile(t, "/sys/kernel/kexec_crash_loaded"); got != "1" {
		t.Fatalf("kexec_crash_loaded is %q", got)
	}
}

// nextKernel returns the command that loads the machine's own kernel and initrd
// once more, for a crash.
func (k *loaded) nextKernel(t *testing.T, release string) []string {
	t.Helper()
	image, err := kernel.Get(t.Context(), filepath.Join(lab.CacheDir(), "kernels"), release)
	if err != nil {
		t.Fatal(err)
	}
	for guest, host := range map[string]string{"/vmlinuz": image.Vmlinuz(), "/initrd": filepath.Join(k.vm.StateDir(), "initrd.cpio")} {
		if err := k.vm.Put(t.Context(), host, guest); err != nil {
			t.Fatal(err)
		}
	}
	var args []string
	for _, arg := range strings.Fields(k.guestFile(t, "/proc/cmdline")) {
		if !strings.HasPrefix(arg, "crashkernel=") && !strings.HasPrefix(arg, "initrd=") {
			args = append(args, arg)
		}
	}
	cmdline := strings.Join(append(args, "nr_cpus=1", "reset_devices"), " ")
	program := goProgram(t, k.vm, "lazystate/kmod/kmodtest/testdata/crashkernel")
	return []string{program, "/vmlinuz", "/initrd", cmdline}
}

// TestCrashKexecKnob: another kernel takes the machine over without a reset,
// and has the dead one's memory; the monitor reads that too, and it stands still.
// The knob is turned from hard interrupt context, with every CPU held.
func TestCrashKexecKnob(t *testing.T) {
	t.Parallel() // see ownMachine
	onEach(t, func(t *testing.T, release string) {
		vm := ownMachine(t, lab.Config{Kernel: release, Append: "crashkernel=192M"})
		k := &loaded{vm: vm}
		k.insert(t, "allow_repair=1")
		k.crashKernel(t, release)
		was, err := vm.BootID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k.lock(t, uapi.LockNMI, 10*time.Second)
		hooks := k.hooks(t, slot, key)
		if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobCrashKexec, Value: 1}); !isHook(err, uapi.ResRange, 0) {
			t.Errorf("with a value: %v", err)
		}
		if _, err := hooks.PostKnob(t.Context(), backdoor.Knob{Knob: uapi.KnobCrashKexec}); err != nil {
			t.Fatal(err)
		}
		dead := k.fetch(t).named(t, "TICKS.0").Value
		if err := vm.WaitBoot(t.Context(), 3*time.Minute); err != nil {
			serial, _ := os.ReadFile(vm.Serial())
			t.Fatalf("%v\n%s", err, serial[max(0, len(serial)-4000):])
		}
		if now, err := vm.BootID(t.Context()); err != nil || now == was {
			t.Errorf("boot id %s, was %s: %v", now, was, err)
		}
		if cmdline := k.guestFile(t, "/proc/cmdline"); !strings.Contains(cmdline, "elfcorehdr=") {
			t.Errorf("no crash kernel: %s", cmdline)
		}
		if n := vm.Info().Resets(); n != 0 {
			t.Errorf("%d resets", n)
		}
		if now := k.fetch(t).named(t, "TICKS.0").Value; now != dead {
			t.Errorf("CPU 0 of the dead kernel ticks: %d, was %d", now, dead)
		}
	})
}
