// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/verbs/roce/netio"
)

// A monitor fences a target by its NIC; the fence is there for good.
func TestFence(t *testing.T) {
	r := newRig(t, openPolicy(), netio.Faults{}, bdtest.WithFence())
	bt := opened(t, r.dial(t, r.options(t, 1)))
	for range 2 {
		if err := bt.Fence(t.Context(), backdoor.FenceOptions{Slot: 1, Key: testKey(1), Timeout: patience}); err != nil || !r.Fenced() {
			t.Fatalf("fenced: %v, %v", r.Fenced(), err)
		}
	}
}
