// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

// TestSaysOfItself: the self-tests pass at load, and what the module tells its
// own machine (sysfs, tracepoints) is what monitors see and have done.
func TestSaysOfItself(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1", "selftest=1")
		if log := k.run(t, "dmesg"); !strings.Contains(log, "backdoor: selftest: an update of a sensor takes ") {
			t.Error("the kernel's log has nothing of the self-tests")
		}
		k.buildID(t)
		k.arm(t)
		k.traced(t)
		k.sysfs(t)
	})
}

func (k *loaded) run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := k.vm.Must(t.Context(), append([]string{"/bin/busybox"}, argv...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// buildID is what the kernel's own notes have.
func (k *loaded) buildID(t *testing.T) {
	t.Helper()
	text, _ := k.target.Manifest().String("build_id")
	id, err := hex.DecodeString(text)
	if notes := k.guestFile(t, "/sys/kernel/notes"); err != nil || len(id) != 20 || !strings.Contains(notes, string(id)) {
		t.Errorf("build id %q: %v", text, err)
	}
}

const tracing = "/sys/kernel/tracing/"

// traced: a lock, a kill and a request under a wrong key, each in the trace.
func (k *loaded) traced(t *testing.T) {
	t.Helper()
	k.run(t, "sh", "-c", fmt.Sprintf("[ -e %[1]strace ] || mount -t tracefs nodev %[1]s; echo 1 >%[1]sevents/backdoor/enable", tracing))
	t.Cleanup(func() {
		k.vm.Must(context.Background(), "/bin/busybox", "sh", "-c", "echo 0 >"+tracing+"events/backdoor/enable")
	})
	held := k.lock(t, 0, 3*time.Second)
	if err := held.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, victim := k.sleeper(t)
	if r, err := k.hooks(t, slot, key).PostKills(t.Context(), []backdoor.Kill{victim}); err != nil || r[0].Err() != nil {
		t.Fatalf("kill: %+v, %v", r, err)
	}
	var refused *backdoor.LockRefusedError
	if _, err := k.target.Lock(t.Context(), backdoor.LockOptions{Slot: slot, Key: uapi.Key{9}}); !errors.As(err, &refused) {
		t.Fatalf("a lock under a wrong key: %v", err)
	}
	trace := k.guestFile(t, tracing+"trace")
	for _, want := range []string{
		fmt.Sprintf("bd_lock_state: state=held holder=%d", slot),
		fmt.Sprintf("bd_lock_state: state=free holder=%d", slot),
		fmt.Sprintf("bd_hook: kind=%d monitor=%d what=9 pid=%d result=%d", uapi.KindKillReq, slot, victim.PID, uapi.ResDone),
		fmt.Sprintf("bd_refused: kind=%d monitor=%d", uapi.KindLockReq, slot),
	} {
		if !strings.Contains(trace, want) {
			t.Errorf("no %q in the trace:\n%s", want, trace)
		}
	}
}

// sysfs after that one lock.
func (k *loaded) sysfs(t *testing.T) {
	t.Helper()
	const dir = "/sys/kernel/backdoor/"
	if id := k.guestFile(t, dir+"boot_id"); id != k.target.BootID().String() {
		t.Errorf("boot_id %s, the root has %s", id, k.target.BootID())
	}
	if n := k.guestNumber(t, dir+"generation"); uint64(n) != k.target.Generation() {
		t.Errorf("generation %d, the root has %d", n, k.target.Generation())
	}
	v, err := k.target.LockView(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.guestFile(t, dir+"lock"), fmt.Sprintf("state 0 holder %d epoch %d grants 1 expired 0", slot, v.Epoch); got != want {
		t.Errorf("lock %q, want %q", got, want)
	}
	var want []string
	for _, r := range k.target.Regions() {
		want = append(want, fmt.Sprintf("%-16s kind %2d perm %d len %d", r.Name, r.Kind, r.Perm, r.Len))
	}
	if got := k.guestFile(t, dir+"regions"); got != strings.Join(want, "\n") {
		t.Errorf("regions:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

// TestWithoutMemory: the Sensor Box lives without the direct map; walks do not.
// In make test on one kernel: it is the same code on both.
func TestWithoutMemory(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel, "export_memory=0")
		for _, r := range k.target.Regions() {
			if r.Kind == uapi.KindMemory {
				t.Errorf("region %s of %d bytes", r.Name, r.Len)
			}
		}
		if _, err := k.target.Tasks(t.Context(), backdoor.WalkOptions{}); !errors.Is(err, backdoor.ErrNoRegion) {
			t.Errorf("a walk: %v", err)
		}
		ticks := k.fetch(t).named(t, "TICKS.0").Value
		k.eventually(t, "ticks", func(v *view) bool { return v.named(t, "TICKS.0").Value > ticks })
	})
}
