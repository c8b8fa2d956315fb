// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A shared machine that no test uses goes for one that has no place otherwise.
// The first two are there: only machines of t.Parallel are a test's own.
func TestIdleMachineMakesRoom(t *testing.T) {
	most := func(t *testing.T) {
		t.Helper()
		places.Lock()
		defer places.Unlock()
		if places.up > places.taken || places.taken != 2 {
			t.Errorf("%d machines in %d places", places.up, places.taken)
		}
	}
	var first, second *VM
	t.Run("first", func(t *testing.T) { first = Shared(t, plain("6.1")) })
	t.Run("second", func(t *testing.T) { second = Shared(t, plain("6.12")); most(t) })
	t.Run("third", func(t *testing.T) {
		third := Shared(t, withKASLR) // which the next tests want
		most(t)
		must(t, third, "true")
		must(t, second, "true")
		if err := first.Ping(t.Context()); err == nil {
			t.Error("the one that was idle for longer is still there")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if Shared(t, plain("6.12")) != second {
			t.Error("the other was booted again")
		}
		if _, err := Up(ctx, fmt.Sprintf("fourth-%d", os.Getpid()), small); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with both in use: %v", err)
		}
	})
	if again := Shared(t, plain("6.1")); again == first {
		t.Error("a machine that is down was given out")
	}
}

func TestPackages(t *testing.T) {
	vm := Shared(t, withKASLR)
	if got := must(t, vm, "column", "--version"); !strings.Contains(got, "util-linux") {
		t.Errorf("column of bsdextrautils says %q", got)
	}
}

var withKASLR = Config{KASLR: true, MemMiB: 256, Packages: []string{"bsdextrautils"}}

func TestKASLR(t *testing.T) {
	const linked = 0xffffffff81000000 // _text without KASLR
	random, err := Shared(t, withKASLR).Symbol(t.Context(), "_text")
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := Shared(t, plain("6.1")).Symbol(t.Context(), "_text")
	if err != nil {
		t.Fatal(err)
	}
	if random == linked || fixed != linked {
		t.Errorf("_text at %#x with KASLR and %#x without", random, fixed)
	}
}

// The last of those that are not parallel, for it needs both places.
func TestTwoMachinesShareANetwork(t *testing.T) {
	Need(t)
	c := small
	c.Net = fmt.Sprintf("pair-%d", os.Getpid())
	vms := map[string]*VM{}
	for i, kernel := range []string{"6.1", "6.12"} {
		c.Kernel = kernel
		c.NICs = []NIC{{Addr: fmt.Sprintf("10.77.1.%d/24", i+1)}}
		vm, err := Up(t.Context(), fmt.Sprintf("pair%d-%d", i, os.Getpid()), c)
		if err != nil {
			t.Fatal(err)
		}
		defer vm.Down()
		vms[kernel] = vm
	}
	must(t, vms["6.1"], "ping", "-c", "1", "-W", "5", "10.77.1.2")
	if err := vms["6.12"].Down(); err != nil {
		t.Fatal(err)
	}
	if err := InNetns(c.Net, func() error { return nil }); err != nil {
		t.Errorf("the namespace went with the first of two: %v", err)
	}
	must(t, vms["6.1"], "true")
	if err := vms["6.1"].Down(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(netnsRoot + "/" + netnsPrefix + c.Net); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the namespace outlives both: %v", err)
	}
}
