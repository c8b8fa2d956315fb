// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"testing"

	"lazystate/tools/lab"
)

const guestAddr = "10.77.0.2"

// The tests of every carrier, over libibverbs and SoftRoCE, each kernel's own.
func TestOnGuest(t *testing.T) {
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			vm := lab.Shared(t, lab.Config{Kernel: kernel, NICs: []lab.NIC{{Addr: guestAddr + "/24", RXE: true}}})
			lab.RunTest(t, vm, "./dsm/transport", "-test.run=./^"+rxe+"$")
		})
	}
}
