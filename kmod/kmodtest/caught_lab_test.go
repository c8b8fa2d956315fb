// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// caught: what CPU 1 does when the lock is asked for, and what it says of itself then.
var caught = []struct {
	name    string
	argv    []string // runs on CPU 1 alone
	where   uint32
	drained bool
}{
	{"idle", nil, uapi.CPUIdle, true},
	{"user", []string{"/bin/busybox", "sh", "-c", "while :; do :; done"}, uapi.CPUUser, true},
	// One read clears so much memory that it takes longer than is waited for.
	{"kernel", []string{"/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=128M", "count=1000000"}, uapi.CPUKernel, false},
}

// TestWhereCaught (§3.9.1): each CPU acknowledges where it was caught, and one that
// stayed inside the kernel for as long as it was waited for makes the view raw.
func TestWhereCaught(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel, "allow_repair=1")
		k.arm(t)
		for _, c := range caught {
			t.Run(c.name, func(t *testing.T) {
				if c.argv != nil {
					k.start(t, lab.Proc{Argv: c.argv, CPUs: []int{1}})
				}
				// A busy process may be between two reads, an idle CPU in the clock's interrupt.
				k.eventually(t, "CPU 1 is caught "+c.name, func(*view) bool {
					held := k.lockWithin(t, 0, 3*time.Second, 5*time.Millisecond)
					v := held.View()
					k.unlock(t, held)
					if !v.Free.Empty() || v.NMI.Has(1) {
						t.Errorf("%+v", v)
					}
					one := v.CPUs[1]
					if one.Where == uapi.CPUKernel == one.Drained || v.Drained && !one.Drained {
						t.Errorf("CPU 1 %s, drained: %v, the view: %v", uapi.CPUWhereName(one.Where), one.Drained, v.Drained)
					}
					return one.Where == c.where && one.Drained == c.drained
				})
			})
		}
	})
}
