// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"testing"

	"lazystate/tools/lab"
)

const guestAddr = "10.77.0.2"

// The tests of every carrier, over libibverbs and SoftRoCE, each kernel's own. In make
// test on 6.1, which pins memory otherwise than today's kernels do (verbs/ibv's
// TestReadOnlyMapping); make soak tries both.
func TestOnGuest(t *testing.T) {
	kernels := []string{"6.1"}
	if lab.Soak() {
		kernels = append(kernels, "6.12")
	}
	for _, kernel := range kernels {
		t.Run(kernel, func(t *testing.T) {
			vm := lab.Shared(t, lab.Config{Kernel: kernel, NICs: []lab.NIC{{Addr: guestAddr + "/24", RXE: true}}})
			lab.RunTest(t, vm, "./dsm/transport", "-test.run=./^"+rxe+"$")
		})
	}
}
