// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"errors"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/tools/lab"
)

// TestKexec: a kernel that gives the machine to another without a reset
// withdraws its regions. Its root would outlive it in the register BAR, and
// what it names is the new kernel's memory: a monitor that asks for the lock
// would write there, and reset the machine because nobody answers.
func TestKexec(t *testing.T) {
	t.Parallel() // see ownMachine
	onOne(t, "6.12", func(t *testing.T, release string) {
		k := &loaded{vm: ownMachine(t, lab.Config{Kernel: release})}
		k.insert(t, "allow_repair=1")
		argv := k.nextKernel(t, release)
		k.farewell(t, lab.Proc{Argv: append(argv, "now")})
		err := k.target.Check(t.Context())
		for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); err = k.target.Check(t.Context()) {
			time.Sleep(5 * time.Millisecond)
		}
		if !errors.Is(err, backdoor.ErrWithdrawn) {
			t.Errorf("the root of a kernel that goes: %v", err)
		}
		if n := k.vm.Info().Resets(); n != 0 {
			t.Errorf("%d resets", n)
		}
	})
}
