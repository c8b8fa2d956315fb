// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"testing"

	"lazystate/verbs/driver"
	"lazystate/verbs/verbstest"
	"lazystate/verbs/verbstest/proxy"
)

// The suite with b in another process, which PeerVanishes kills.
func TestConformanceInTwoProcesses(t *testing.T) {
	verbstest.Run(t, verbstest.Pair{
		Open: func(t *testing.T) (a, b driver.Device) {
			b, err := proxy.Open("shm://b")
			if err != nil {
				t.Fatal(err)
			}
			return open(t), b
		},
		Vanish: func(t *testing.T, b driver.Device) {
			if err := b.(interface{ Kill() error }).Kill(); err != nil {
				t.Error(err)
			}
		},
	})
}
