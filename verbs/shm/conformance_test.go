// SPDX-License-Identifier: Apache-2.0

package shm_test

import (
	"testing"

	"lazystate/verbs/driver"
	"lazystate/verbs/shm"
	"lazystate/verbs/verbstest"
)

func TestMain(m *testing.M) {
	shm.OtherUser()
	verbstest.Main(m)
}

func open(t *testing.T) *shm.Device {
	t.Helper()
	d, err := shm.Open(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	verbstest.Run(t, verbstest.Pair{
		Open: func(t *testing.T) (a, b driver.Device) { return open(t), open(t) },
		Vanish: func(t *testing.T, b driver.Device) {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		},
	})
}
