// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"encoding/binary"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// TestLockAsDebianBoots: on Debian's own command line, with its mitigations,
// watchdogs and console, the machine is locked, stands still, and goes on.
func TestLockAsDebianBoots(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := &loaded{vm: lab.Shared(t, lab.Config{Kernel: kernel, Debian: true})}
		if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "backdoor"), "allow_repair=1"); err != nil {
			t.Fatal(err)
		}
		k.open(t)
		k.arm(t)
		held := k.lock(t, 0, 5*time.Second)
		counted := func() uint64 { // when users were last counted: each 100 ms by a thread
			_, users := k.region(t, uapi.KindUIDs)
			return binary.LittleEndian.Uint64(users[uapi.UIDsMonoNsOff:])
		}
		before := counted()
		time.Sleep(500 * time.Millisecond)
		if now := counted(); now != before {
			t.Errorf("under a lock the machine went on: %d, then %d", before, now)
		}
		k.unlock(t, held)
		k.eventually(t, "users are counted again", func(*view) bool { return counted() != before })
		if err := k.vm.Rmmod(t.Context(), "backdoor"); err != nil {
			t.Error(err)
		}
	})
}
