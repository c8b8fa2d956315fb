// SPDX-License-Identifier: Apache-2.0

package rdmatest

import (
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
)

// TestTakeoverUnderLock: while the lock is held, a monitor that was not connected
// gets in and reads, and its owner, restarted, takes over and gives the lock back.
// Machines of their own: in one that has been up for a while the kernel has workers
// enough, and its interrupts have struck where they should. As operators boot (no
// process on the NIC's CPU); in make soak also with Debian's command line.
func TestTakeoverUnderLock(t *testing.T) {
	cmdlines := map[string]string{"isolated": "isolcpus=domain,0"}
	if lab.Soak() {
		cmdlines["plain"] = ""
	}
	onEach(t, func(t *testing.T, kernel string) {
		for name, cmdline := range cmdlines {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				k := alone(t, kernel, cmdline)
				k.tune(t)
				k.takeover(t)
			})
		}
	})
}

func (k *loaded) takeover(t *testing.T) {
	t.Helper()
	owner := k.dial(t, hello{})
	regions := owner.table(t)
	owner.lockWord(t, k, regions, uapi.WantLock, 1, spare, time.Minute) // the longest there is
	held := owner.lockState(t, regions, "held", func(a *uapi.LockAck) bool { return a.State == uapi.LockHeld })

	other := k.inUnderLock(t, held, hello{monitor: 1})
	again := k.inUnderLock(t, held, hello{flags: uapi.HelloTakeover})
	owner.gone(t)
	regions = again.table(t)
	again.lockWord(t, k, regions, uapi.WantFree, 1, 0, 0)
	again.lockState(t, regions, "given back", func(a *uapi.LockAck) bool { return a.State == uapi.LockFree && a.Expired == 0 })
	other.stands(t)
	if err := k.vm.Rmmod(t.Context(), "backdoor_rdma"); err != nil {
		t.Fatal(err)
	}
	k.workersPinned(t, false) // without a device to serve they go where they like
	k.healthy(t)
}

// inUnderLock dials until it is let in, and finds the lock held as before.
func (k *loaded) inUnderLock(t *testing.T, held *uapi.LockAck, h hello) *conn {
	t.Helper()
	began := time.Now()
	c, err := k.tryDial(t, h)
	for ; err != nil; c, err = k.tryDial(t, h) {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("monitor %d: %v", h.monitor, err)
		}
		t.Logf("monitor %d: not yet: %v", h.monitor, err)
	}
	regions := c.table(t)
	a := c.lockState(t, regions, "", func(*uapi.LockAck) bool { return true })
	if a.State != uapi.LockHeld || a.LeaseEndNs != held.LeaseEndNs {
		t.Fatalf("monitor %d was let in after %v, when the lock was %s", h.monitor, time.Since(began), uapi.LockStateName(a.State))
	}
	t.Logf("monitor %d was let in under the lock after %v", h.monitor, time.Since(began).Round(time.Millisecond))
	return c
}
