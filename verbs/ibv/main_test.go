// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv_test

import (
	"maps"
	"os"
	"testing"

	"lazystate/tools/lab"
	"lazystate/verbs/driver"
	"lazystate/verbs/ibv"
	"lazystate/verbs/verbstest"
)

func TestMain(m *testing.M) {
	os.Exit(verbstest.Check(func() int { return lab.Main(m, 1) }))
}

// machine boots a guest with SoftRoCE.
func machine(t *testing.T, kernel string) *lab.VM {
	t.Helper()
	return lab.Shared(t, lab.Config{Kernel: kernel, NICs: []lab.NIC{{Addr: "10.77.0.2/24", RXE: true}}})
}

// The tests that need a device run inside guests, each kernel's own, once under
// the race detector and once with every store of a pointer into C checked.
func TestOnGuest(t *testing.T) {
	if lab.InGuest() {
		t.Skip("this is the guest")
	}
	builds := map[string]lab.TestBuild{
		"6.1":  {Env: []string{"GOEXPERIMENT=cgocheck2"}},
		"6.12": {Flags: []string{"-race"}},
	}
	for kernel, build := range builds {
		t.Run(kernel, func(t *testing.T) {
			lab.RunTestAs(t, machine(t, kernel), build, "./verbs/ibv", "-test.skip=OnGuest|WithoutCgo")
		})
	}
}

// The suite over one device, opened twice: SoftRoCE sends to itself.
func TestConformance(t *testing.T) {
	if !lab.InGuest() {
		t.Skip("needs a guest with SoftRoCE: TestOnGuest runs it there")
	}
	open := func(t *testing.T) driver.Device {
		d, err := ibv.Provider{}.Open(t.Context(), "rxe0")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	otherwise := maps.Clone(verbstest.RXEAsks)
	maps.Copy(otherwise, verbstest.RXEAnswers)
	verbstest.Run(t, verbstest.Pair{
		Open:        func(t *testing.T) (a, b driver.Device) { return open(t), open(t) },
		Otherwise:   otherwise,
		MaxSize:     maxSize,
		Slow:        true,
		Sample:      lab.Sample(),
		WideWindows: true, SilentRefusals: true,
	})
}
