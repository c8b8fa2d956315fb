// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"strings"
	"testing"
	"time"

	"lazystate/sensorbox"
	"lazystate/tools/lab"
)

// TestDeviceRefusals runs the checks of kmod/test/user_sensor.c in the guest.
// In make test on one kernel: it is the same code on both. TestDeviceStorm
// is of both.
func TestDeviceRefusals(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel)
		res, err := k.vm.Run(t.Context(), guestProgram(t, k.vm, "user_sensor"), "checks")
		if err != nil {
			t.Fatal(err)
		}
		if res.Exit != 0 || strings.Contains(res.Stdout, "WRONG") || strings.Count(res.Stdout, "ok ") < 30 {
			t.Errorf("exit %d\n%s%s", res.Exit, res.Stdout, res.Stderr)
		}
		// they are all orphans now, and the view still holds
		if v := k.fetch(t); len(v.Defects) > 0 || v.find("0/TEST100") == nil {
			t.Errorf("after the checks: defects %v", v.Defects)
		}
	})
}

// TestOrphan: a daemon that dies leaves a sensor that stands still and says
// why; its successor goes on with the same value. In make test on one kernel: it is the same code on both.
func TestOrphan(t *testing.T) {
	onOne(t, "6.1", func(t *testing.T, kernel string) {
		k := load(t, kernel)
		program := guestProgram(t, k.vm, "user_sensor")
		pid := k.daemon(t, program, "hold", "7", "heartbeat")
		alive := k.eventually(t, "the daemon beats", func(v *view) bool {
			s := v.find("0/TEST7")
			return s != nil && s.Value > 10
		}).named(t, "0/TEST7")
		if alive.Flags&sensorbox.Orphaned != 0 || alive.Flags&sensorbox.Heartbeat == 0 || alive.Class != sensorbox.Progress {
			t.Errorf("alive: class %v flags %#x", alive.Class, alive.Flags)
		}
		if err := k.vm.Kill(t.Context(), pid, 9); err != nil {
			t.Fatal(err)
		}
		dead := k.eventually(t, "orphaned", func(v *view) bool {
			return v.named(t, "0/TEST7").Flags&sensorbox.Orphaned != 0
		}).named(t, "0/TEST7")
		time.Sleep(200 * time.Millisecond)
		if v := k.fetch(t).named(t, "0/TEST7"); v.Value != dead.Value {
			t.Errorf("a dead daemon's sensor went from %d to %d", dead.Value, v.Value)
		}

		pid = k.daemon(t, program, "adopt", "7")
		again := k.eventually(t, "the successor beats", func(v *view) bool {
			return v.named(t, "0/TEST7").Value > dead.Value
		}).named(t, "0/TEST7")
		if again.Key != dead.Key || again.Flags&sensorbox.Orphaned != 0 {
			t.Errorf("adopted: key %v flags %#x, before %v", again.Key, again.Flags, dead.Key)
		}
		if err := k.vm.Kill(t.Context(), pid, 9); err != nil {
			t.Fatal(err)
		}
		k.vm.Wait(t.Context(), pid)
		if _, err := k.vm.Must(t.Context(), program, "release", "7"); err != nil {
			t.Fatal(err)
		}
		if k.fetch(t).find("0/TEST7") != nil {
			t.Error("released and still there")
		}
	})
}

func (k *loaded) daemon(t *testing.T, argv ...string) int {
	t.Helper()
	return k.start(t, lab.Proc{Argv: argv})
}

// TestExample: another module's sensors come and go with it. In make test on one kernel: it is the same code on both.
func TestExample(t *testing.T) {
	onOne(t, "6.12", func(t *testing.T, kernel string) {
		k := load(t, kernel)
		if err := k.vm.Insmod(t.Context(), lab.Module(t, k.vm, "example/bd_example")); err != nil {
			t.Fatal(err)
		}
		k.eventually(t, "the example works", func(v *view) bool {
			s := v.find("EXAMPLE_ROUNDS")
			return s != nil && s.Value > 3 && v.find("EXAMPLE_QUEUE") != nil && v.find("EXAMPLE_FULL") != nil
		})
		if err := k.vm.Rmmod(t.Context(), "bd_example"); err != nil {
			t.Fatal(err)
		}
		if k.fetch(t).find("EXAMPLE_ROUNDS") != nil {
			t.Error("the example is gone, its sensor is not")
		}
	})
}
