// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"testing"

	"lazystate/tools/lab"
)

// The same tests on the oldest kernel we mean to run on and on a recent one.
func TestOnGuest(t *testing.T) {
	if lab.InGuest() {
		t.Skip("this is the guest")
	}
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			vm := lab.Shared(t, lab.Config{Kernel: kernel, Modules: []string{"veth", "bridge", "crc32c_generic", "nf_tables", "nft_ct", "nf_conntrack_netlink"}})
			lab.RunTest(t, vm, "./mtcp/takeover", "-test.skip=OnGuest")
		})
	}
}
