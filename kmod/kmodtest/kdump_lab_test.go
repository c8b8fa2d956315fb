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

// says waits until the manifest has these values.
func (k *loaded) says(t *testing.T, want map[string]uint64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		m, err := k.target.ReadManifest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		missing := ""
		for name, v := range want {
			if got, ok := m.Value(name); !ok || got != v {
				missing = name
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			got, ok := m.Value(missing)
			t.Fatalf("a minute and the manifest says %s = %d (%v), want %d", missing, got, ok, want[missing])
		}
	}
}

// panics makes the kernel panic. It may be gone before it has answered, and that is
// heard of only when another kernel runs: nobody waits for the answer, or he would
// miss the boot.
func (k *loaded) panics(t *testing.T) {
	t.Helper()
	k.farewell(t, lab.Proc{Argv: []string{"/bin/sh", "-c", "echo c >/proc/sysrq-trigger"}})
}

// farewell starts what may end the kernel before it answers.
func (k *loaded) farewell(t *testing.T, p lab.Proc) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go k.vm.Start(ctx, p)
}

// panicThatReboots: with panic=5 the machine starts again five seconds after
// its panic. Until then the stamp is there to be read, afterwards it is another
// machine.
func (k *loaded) panicThatReboots(t *testing.T) {
	t.Helper()
	k.says(t, map[string]uint64{"panic_timeout": 5, "crash_kernel_loaded": 0, "crash_kexec_post_notifiers": 0})
	region, err := k.target.Region(uapi.KindPanic)
	if err != nil {
		t.Fatal(err)
	}
	k.panics(t)
	var stamp *backdoor.PanicStamp
	for end := time.Now().Add(60 * time.Second); err == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("60 s and it is the same machine; stamp %v", stamp)
		}
		b := make([]byte, uapi.PanicSize)
		if err = k.target.Do(t.Context(), region.Read(0, b)); err != nil {
			break
		}
		// only what is still this machine's is its stamp
		if err = k.target.Check(t.Context()); err == nil {
			stamp = backdoor.DecodePanic(b)
		}
	}
	if stamp == nil || stamp.Cause != uapi.PanicPanic || stamp.Text != "sysrq triggered crash" {
		t.Errorf("the last stamp of the machine that panicked: %v", stamp)
	}
	if !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("then: %v", err)
	}
	if err := k.vm.WaitBoot(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	k.away(t, backdoor.ErrReplaced)
}

// TestPanicWithCrashKernel: the manifest follows what is loaded and set, and
// what it says comes true: without post_notifiers no stamp, with them one.
func TestPanicWithCrashKernel(t *testing.T) {
	t.Parallel() // see ownMachine
	for kernel, post := range map[string]string{"6.1": "N", "6.12": "Y"} {
		t.Run(kernel, func(t *testing.T) {
			t.Parallel()
			vm := ownMachine(t, lab.Config{Kernel: kernel, Append: "crashkernel=192M"})
			k := &loaded{vm: vm}
			k.insert(t)
			k.says(t, map[string]uint64{"crash_kernel_loaded": 0, "crash_kexec_post_notifiers": 0})
			k.crashKernel(t, kernel)
			k.says(t, map[string]uint64{"crash_kernel_loaded": 1, "crash_kexec_post_notifiers": 0})
			const param = "/sys/module/kernel/parameters/crash_kexec_post_notifiers"
			for _, set := range []string{"Y", post} {
				if err := vm.WriteFile(t.Context(), param, []byte(set), 0); err != nil {
					t.Fatal(err)
				}
				k.says(t, map[string]uint64{"crash_kernel_loaded": 1, "crash_kexec_post_notifiers": map[string]uint64{"Y": 1}[set]})
			}
			was, err := vm.BootID(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			k.panics(t)
			if err := vm.WaitBoot(t.Context(), 3*time.Minute); err != nil {
				t.Fatal(err)
			}
			if now, err := vm.BootID(t.Context()); err != nil || now == was {
				t.Errorf("boot id %s, was %s: %v", now, was, err)
			}
			// The crash kernel lives beside the dead one's memory.
			if p := k.stamp(t); (p.Cause == uapi.PanicPanic) != (post == "Y") {
				t.Errorf("post_notifiers %s: stamped %s", post, uapi.PanicCauseName(p.Cause))
			}
		})
	}
}
