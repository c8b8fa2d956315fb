// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
)

// ticking gives the machine a clock for each CPU that runs until stopped.
func ticking(m *sick) (stop func(cpu int)) {
	var ids [2]uint32
	for i, name := range []string{"TICKS.0", "TICKS.1"} {
		ids[i] = m.target.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 500000, Name: name})
	}
	stopped := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	for i := range ids {
		go func() {
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
	return func(cpu int) { close(stopped[cpu]) }
}

func TestHangOneCPU(t *testing.T) {
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
}

func TestHangAllCPUs(t *testing.T) {
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
}

func TestHangPanic(t *testing.T) {
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
}

func TestHangDeadlock(t *testing.T) {
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
}

func TestNoHang(t *testing.T) {
	m := newSick(t)
	ticking(m)
	h, err := m.patient.DiagnoseHang(t.Context())
	if err != nil || h.Cause != NoHang {
		t.Fatalf("diagnosis %+v, %v", h, err)
	}
}
