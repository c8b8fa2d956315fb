// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"os"
	"testing"

	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// rounds is how many hundreds of cases a property is tried with: a guest under
// emulation takes twenty times as long for each.
func rounds(n int) int {
	if lab.InGuest() {
		return 2
	}
	return n
}

// The same tests on the oldest kernel we mean to run on, which has clsact only,
// and on one that has TCX.
func TestOnGuest(t *testing.T) {
	if lab.InGuest() {
		t.Skip("this is the guest")
	}
	for _, kernel := range []string{"6.1", "6.12"} {
		t.Run(kernel, func(t *testing.T) {
			vm := lab.Shared(t, lab.Config{Kernel: kernel, Modules: []string{"veth", "bridge", "sch_ingress", "cls_bpf", "tun"}})
			// The compiler and nft are here and not there.
			lab.RunTest(t, vm, "./mtcp/steer", "-test.skip=OnGuest|OfTheSources|MoveThrough")
		})
	}
}
