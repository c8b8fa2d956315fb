// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

// ticking gives the machine a clock for each CPU that runs until stopped.
func ticking(m *sick) (stop func(cpu int)) {
	var ids [2]uint32
	for i, name := range []string{"TICKS.0", "TICKS.1"} {
		ids[i] = m.target.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 500000, Name: name})
	}
	stopped, ended := [2]chan struct{}{make(chan struct{}), make(chan struct{})}, [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	for i := range ids {
		go func() {
			defer close(ended[i])
			for n := uint64(1); ; n++ {
				select {
				case <-stopped[i]:
					return
				case <-m.t.Context().Done():
					return
				case <-time.After(5 * time.Millisecond):
					m.target.SetValue(ids[i], n)
				}
			}
		}()
	}
	return func(cpu int) { close(stopped[cpu]); <-ended[cpu] }
}

func TestHangOneCPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		stop := ticking(m)
		stop(1)
		m.target.CatchCPU(1, uapi.CPUNMIIRQOff)
		time.Sleep(20 * time.Millisecond)
		h, err := m.patient.DiagnoseHang(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h.Cause != HangSpin || !h.Partial || !h.Repairable() || !h.ByNMI || len(h.Stalled) != 1 || h.Stalled[0] != "TICKS.1" {
			t.Errorf("diagnosis %+v", h)
		}
		m.innocent()
	})
}

func TestHangAllCPUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		stop := ticking(m)
		stop(0)
		stop(1)
		m.target.Hang(true)
		h, err := m.patient.DiagnoseHang(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h.Cause != HangSpin || h.Partial || h.Repairable() || h.LockErr == nil {
			t.Errorf("diagnosis %+v", h)
		}
	})
}

func TestHangPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		ticking(m)
		m.target.Crash(uapi.PanicPanic, "bad \"day\"\n")
		h, err := m.patient.DiagnoseHang(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h.Cause != HangPanic || h.Repairable() || !strings.Contains(h.Detail, "bad") || strings.Contains(h.Detail, "\n") {
			t.Errorf("diagnosis %+v", h)
		}
	})
}

func TestHangDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		ticking(m)
		for range 3 {
			m.target.AddProcess(bdtest.Proc{UID: 1000, Comm: "ip", State: 2})
		}
		h, err := m.patient.DiagnoseHang(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h.Cause != HangDeadlock || len(h.Blocked) != 3 || h.Repairable() {
			t.Errorf("diagnosis %+v", h)
		}
	})
}

// A CPU that was taken out does not hang, and hides no deadlock.
func TestHangWithACPUOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		ticking(m)
		m.target.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Value: 99, Name: "TICKS.2"})
		if h, err := m.patient.DiagnoseHang(t.Context()); err != nil || h.Cause != NoHang {
			t.Fatalf("diagnosis %+v, %v", h, err)
		}
		m.target.AddProcess(bdtest.Proc{UID: 1000, Comm: "ip", State: 2})
		if h, err := m.patient.DiagnoseHang(t.Context()); err != nil || h.Cause != HangDeadlock {
			t.Fatalf("diagnosis %+v, %v", h, err)
		}
	})
}

func TestNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		ticking(m)
		h, err := m.patient.DiagnoseHang(t.Context())
		if err != nil || h.Cause != NoHang {
			t.Fatalf("diagnosis %+v, %v", h, err)
		}
	})
}

var errPath = errors.New("the rest of memory is lost")

// tablesLost makes the process table unreadable: of the target's memory only
// the areas of the module can be read.
func tablesLost(m *sick) {
	r, err := m.patient.Target.Region(uapi.KindMemory)
	if err != nil {
		m.t.Fatal(err)
	}
	m.target.Memory().Before(func(_ int, op *backdoor.Op) error {
		if op.Key == r.Key {
			return errPath
		}
		return nil
	})
}

// A cause that is known stands, also if the process table cannot be read.
func TestHangWithoutTable(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(m *sick, stop func(int))
		cause HangCause
	}{
		"panic": {func(m *sick, _ func(int)) { m.target.Crash(uapi.PanicPanic, "bad day") }, HangPanic},
		"spin":  {func(_ *sick, stop func(int)) { stop(1) }, HangSpin},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			m := newSick(t)
			c.spoil(m, ticking(m))
			tablesLost(m)
			time.Sleep(20 * time.Millisecond)
			h, err := m.patient.DiagnoseHang(t.Context())
			if err != nil || h.Cause != c.cause || !errors.Is(h.TableErr, errPath) || h.Running != nil {
				t.Errorf("diagnosis %+v, %v", h, err)
			}
		}))
	}
}

// Clocks that run and no table: nobody knows whether tasks wait for ever.
func TestNoHangWithoutTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newSick(t)
		ticking(m)
		tablesLost(m)
		if h, err := m.patient.DiagnoseHang(t.Context()); !errors.Is(err, errPath) {
			t.Errorf("diagnosis %+v, %v", h, err)
		}
	})
}

// A panic whose Sensor Box is damaged is still a panic.
func TestHangPanicWithoutBox(t *testing.T) {
	m := newSick(t)
	m.target.Crash(uapi.PanicPanic, "bad day")
	m.target.Poke(m.target.Area(uapi.KindSensorbox), make([]byte, 8))
	h, err := m.patient.DiagnoseHang(t.Context())
	if err != nil || h.Cause != HangPanic || h.TableErr == nil {
		t.Errorf("diagnosis %+v, %v", h, err)
	}
}
