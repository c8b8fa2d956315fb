// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"lazystate/tools/lab"
)

var trouble = regexp.MustCompile(`BUG|Oops|WARNING|Call Trace|general protection|refcount`)

// TestDeviceStorm: users of the device, one of them root, do all that it lets
// them do, and what it does not, at once, and are killed in the middle of it.
// The kernel stays whole, the kernel's own sensors are as they were, and the
// module can go.
func TestDeviceStorm(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		program := guestProgram(t, k.vm, "dev_storm")
		if _, err := k.vm.Must(t.Context(), "/bin/busybox", "chmod", "666", "/dev/backdoor"); err != nil {
			t.Fatal(err)
		}
		before := len(k.fetch(t).Sensors)
		k.storm(t, program, time.Duration(lab.Count(2, 12))*time.Second)
		k.storm(t, program, time.Duration(lab.Count(1, 2))*time.Second) // and again, where orphans fill the pages
		log, err := k.vm.Must(t.Context(), "dmesg")
		if err != nil {
			t.Fatal(err)
		}
		if found := trouble.FindString(log); found != "" {
			t.Errorf("%s:\n%s", found, log[max(0, len(log)-4000):])
		}
		own := 0
		for _, s := range k.eventually(t, "the box", func(*view) bool { return true }).Sensors {
			if !strings.Contains(s.Name(), "/") {
				own++
			}
		}
		if own != before {
			t.Errorf("the kernel has %d sensors, had %d", own, before)
		}
		k.noBoxes(t)
	})
}

// storm lets three users work for a while, then kills them.
func (k *loaded) storm(t *testing.T, program string, d time.Duration) {
	t.Helper()
	var pids []int
	for i, uid := range []int{0, 1000, 1001} {
		pids = append(pids, k.start(t, lab.Proc{Argv: []string{program, "60", string(rune('1' + i))}, UID: uid}))
	}
	time.Sleep(d)
	k.fetch(t)
	for _, pid := range pids {
		if err := k.vm.Kill(t.Context(), pid, 9); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, pid := range pids {
		if _, err := k.vm.Wait(ctx, pid); err != nil {
			t.Error(err)
		}
	}
}
