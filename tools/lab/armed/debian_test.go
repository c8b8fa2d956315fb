// SPDX-License-Identifier: Apache-2.0

package armed

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// TestLockAsDebianBoots: on Debian's own command line, with its mitigations,
// watchdogs and console, the machine is locked, stands still, and goes on.
func TestLockAsDebianBoots(t *testing.T) {
	lab.Need(t)
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			vm, key := lab.New(t, lab.Config{Kernel: kernel, Debian: true}), uapi.Key{3: 1}
			if err := vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor"), "allow_repair=1"); err != nil {
				t.Fatal(err)
			}
			if err := GiveKeys(t.Context(), vm, Keys{0: key}); err != nil {
				t.Fatal(err)
			}
			mem, target, err := Open(t.Context(), vm, true)
			if err != nil {
				t.Fatal(err)
			}
			defer mem.Close()
			held, err := target.Lock(t.Context(), backdoor.LockOptions{
				Key: key, Lease: 6 * time.Second, Drain: time.Second, Flags: uapi.LockNMI | uapi.LockDrain,
			})
			if err != nil {
				t.Fatal(err)
			}
			before := counted(t, target)
			time.Sleep(500 * time.Millisecond)
			if now := counted(t, target); now != before {
				t.Errorf("under a lock the machine went on: %d, then %d", before, now)
			}
			if err := held.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := vm.Ping(ctx); err != nil {
				t.Error(err)
			}
			for end := time.Now().Add(time.Minute); counted(t, target) == before; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it stands still after the unlock")
				}
			}
		})
	}
}

// counted is when users were last counted: each 100 ms, by a thread of the module's.
func counted(t *testing.T, target *backdoor.Target) uint64 {
	t.Helper()
	users, err := target.Region(uapi.KindUIDs)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if err := target.Do(t.Context(), users.Read(uapi.UIDsMonoNsOff, b)); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(b)
}
