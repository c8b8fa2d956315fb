// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"context"
	"testing"
	"time"

	"lazystate/sensorbox"
	"lazystate/tools/lab"
)

const cpu1 = "/sys/devices/system/cpu/cpu1/online"

// plug takes CPU 1 out of a machine, or puts it back.
func plug(t *testing.T, vm *lab.VM, online string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // at the end too
	defer cancel()
	if err := vm.WriteFile(ctx, cpu1, []byte(online), 0); err != nil {
		t.Fatal(err)
	}
}

// watched is a detector that follows the box as a monitor does.
type watched struct {
	*loaded
	det   *sensorbox.Detector
	view  view
	begun time.Time
	sums  map[string]uint64
}

func (k *loaded) watch() *watched {
	return &watched{loaded: k, begun: time.Now(), sums: map[string]uint64{},
		det: sensorbox.NewDetector(sensorbox.Config{Period: 20 * time.Millisecond})}
}

// follow samples the box for a while. Nothing may be called corrupt,
// and no total may go backwards.
func (w *watched) follow(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		start := time.Since(w.begun)
		if err := w.decode(t, &w.view); err != nil {
			t.Fatal(err)
		}
		in := sensorbox.Input{Start: start, End: time.Since(w.begun), Outcome: sensorbox.Answered, View: &w.view.View}
		for _, ev := range w.det.Step(in, nil) {
			if ev.Kind == sensorbox.Corrupt {
				t.Errorf("%s: the detector says %v: %s", what, ev.Kind, ev.Detail)
			}
		}
		for _, name := range []string{"INTERRUPTS", "DEV_INTERRUPTS", "CTXSW", "CTXSW.1", "TICKS.1"} {
			n := w.view.named(t, name).Value
			if n < w.sums[name] {
				t.Errorf("%s: %s went from %d back to %d", what, name, w.sums[name], n)
			}
			w.sums[name] = n
		}
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("a minute and not: %s", what)
		}
	}
}

func (w *watched) tickLimit(t *testing.T, cpu string) uint64 {
	return w.view.named(t, "TICKS."+cpu).Limit
}

// TestCPUOffline: a CPU that is taken out has no contract; its operator's next
// one stands when it comes back; the monitor sees new generations, no damage.
func TestCPUOffline(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		k := load(t, kernel)
		w := k.watch()
		w.follow(t, "both CPUs tick", func() bool { return w.sums["TICKS.1"] > 20 && w.view.Header.NCPUs == 2 })
		if l0, l1 := w.tickLimit(t, "0"), w.tickLimit(t, "1"); l0 == 0 || l0 != l1 {
			t.Errorf("L of TICKS %d and %d", l0, l1)
		}
		plug(t, k.vm, "0")
		t.Cleanup(func() { plug(t, k.vm, "1") }) // whatever else happens, the next test has two CPUs
		generation := w.view.Header.Generation
		w.follow(t, "one CPU", func() bool { return w.view.Header.NCPUs == 1 && w.tickLimit(t, "1") == 0 })
		if online := k.guestFile(t, "/sys/devices/system/cpu/online"); online != "0" || w.view.Header.Generation == generation {
			t.Errorf("online: %s; generation %d before and %d after", online, generation, w.view.Header.Generation)
		}
		ticks, since := w.sums["TICKS.1"], time.Now()
		w.follow(t, "a second without CPU 1", func() bool { return time.Since(since) > time.Second })
		if w.sums["TICKS.1"] != ticks {
			t.Errorf("a CPU that is out ticked: %d and %d", ticks, w.sums["TICKS.1"])
		}
		if err := k.vm.WriteFile(t.Context(), "/sys/module/backdoor/parameters/limits", []byte("TICKS:222000"), 0); err != nil {
			t.Fatal(err)
		}
		w.follow(t, "the new contract of the other CPU", func() bool { return w.tickLimit(t, "0") == 222000 })
		if l := w.tickLimit(t, "1"); l != 0 {
			t.Errorf("L of the CPU that is out is %d", l)
		}
		plug(t, k.vm, "1")
		w.follow(t, "the CPU ticks under its new contract", func() bool {
			return w.tickLimit(t, "1") == 222000 && w.sums["TICKS.1"] > ticks+20 && w.view.Header.NCPUs == 2
		})
	})
}

// TestLoadWithCPUOffline: a CPU that is not there at load has a sensor without
// a contract, and the contract of the load once it comes.
func TestLoadWithCPUOffline(t *testing.T) {
	onEach(t, func(t *testing.T, kernel string) {
		vm := machine(t, kernel)
		t.Cleanup(func() { plug(t, vm, "1") }) // whatever else happens, the next test has two CPUs
		plug(t, vm, "0")
		k := load(t, kernel, "limits=TICKS:333000")
		w := k.watch()
		w.follow(t, "one CPU ticks", func() bool { return w.view.named(t, "TICKS.0").Value > 20 })
		if s := w.view.named(t, "TICKS.1"); s.Limit != 0 || s.Value != 0 {
			t.Errorf("of the CPU that is out: L %d, V %d", s.Limit, s.Value)
		}
		plug(t, k.vm, "1")
		w.follow(t, "the CPU ticks and switches", func() bool {
			return w.tickLimit(t, "1") == 333000 && w.sums["TICKS.1"] > 20 && w.sums["CTXSW.1"] > 0
		})
	})
}
