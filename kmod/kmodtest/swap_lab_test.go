// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"strings"
	"testing"

	"lazystate/tools/lab"
)

// TestSwapTakenAway: a machine whose operator takes its swap away has no swap
// to run out of, for good, and what is free of it is no huge number.
func TestSwapTakenAway(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		all := meminfo(t, k.vm, "SwapTotal") / 4
		k.eventually(t, "L is 5 % of the swap", func(v *view) bool { return v.named(t, "SWAP_FREE").Limit == all/20 })
		device := strings.Fields(strings.Split(k.guestFile(t, "/proc/swaps"), "\n")[1])[0]
		t.Cleanup(func() { k.vm.Must(context.Background(), "/bin/busybox", "swapon", device) }) // the machine is shared
		off := k.start(t, lab.Proc{Argv: []string{"/bin/busybox", "swapoff", device}})
		k.eventually(t, "no swap and no threshold", func(v *view) bool {
			s := v.named(t, "SWAP_FREE")
			if s.Value > all || s.Limit > all/20 {
				t.Fatalf("V %d, L %d of %d pages", s.Value, s.Limit, all)
			}
			return s.Limit == 0 && s.Value == 0
		})
		if exit, err := k.vm.Wait(t.Context(), off); err != nil || exit != 0 {
			t.Fatalf("swapoff: exit %d, %v", exit, err)
		}
		if _, err := k.vm.Must(t.Context(), "/bin/busybox", "swapon", device); err != nil {
			t.Fatal(err)
		}
		k.eventually(t, "L is back", func(v *view) bool { return v.named(t, "SWAP_FREE").Limit == all/20 })
	})
}
