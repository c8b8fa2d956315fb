// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/repair/policy"
	"lazystate/sensorbox"
)

// vanished is the event of a sensor that the box no longer shows.
func vanished() sensorbox.Event {
	return sensorbox.Event{Kind: sensorbox.Exceeded, Sensor: "NO_SUCH", Class: sensorbox.Level, Value: 400, Limit: limitOf}
}

// A sensor that vanished says nothing: least of all that all is well.
func TestMissingSensorIsNotSettled(t *testing.T) {
	m := newSick(t)
	m.bomb(200)
	in := &Incident{ID: "x", Events: []sensorbox.Event{vanished()}, Patient: m.patient, Attempt: 1}
	memory := m.memHealer(policy.Basic{Kind: policy.PolicyMaxRSS, Limit: 1 << 20})
	for name, h := range map[string]Healer{"process": m.healer(), "memory": memory, "external": program("exit 1")} {
		p, err := h.Plan(t.Context(), in)
		if err == nil || !strings.Contains(err.Error(), `no sensor "NO_SUCH"`) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		if p != nil && p.Why != "" {
			t.Errorf("%s: nothing to do, for it %q", name, p.Why)
		}
	}
}

// The same for a box whose record is damaged, and the error says so.
func TestDamagedSensorIsNotSettled(t *testing.T) {
	m := newSick(t)
	m.bomb(200)
	bad := m.target.SetSensor(bdtest.Sensor{Class: uapi.Level, Limit: limitOf, Value: 400, Name: "NO_SUCH"})
	m.target.SetSensor(bdtest.Sensor{ID: bad, Class: 99, Limit: limitOf, Value: 400, Name: "NO_SUCH"})
	in := &Incident{ID: "x", Events: []sensorbox.Event{vanished()}, Patient: m.patient, Attempt: 1}
	_, err := m.healer().Plan(t.Context(), in)
	if err == nil || !strings.Contains(err.Error(), `no sensor "NO_SUCH" that can be read (damaged`) {
		t.Error(err)
	}
}

// A handler that cannot be watched is not quiet.
func TestMissingOOMSensor(t *testing.T) {
	m := newSick(t)
	m.target.RemoveSensor(m.oom)
	h := m.memHealer(policy.Basic{Kind: policy.PolicyMaxRSS, Limit: 1 << 20})
	_, err := h.Plan(t.Context(), &Incident{ID: "x", Events: []sensorbox.Event{m.pressed()}, Patient: m.patient, Attempt: 1})
	if err == nil || !strings.Contains(err.Error(), SensorOOM) {
		t.Error(err)
	}
}

func TestNothingToWatchIsNoVerdict(t *testing.T) {
	why, _, err := Confirm{}.watch(t.Context(), &Incident{}, func(context.Context) (map[string]float64, error) { return nil, nil })
	if err == nil || why != "" {
		t.Errorf("%q, %v", why, err)
	}
}

// The box of another boot is nobody's evidence, wherever it lies.
func TestBoxOfAnotherBoot(t *testing.T) {
	m := newSick(t)
	box, err := m.patient.Target.Region(uapi.KindSensorbox)
	if err != nil {
		t.Fatal(err)
	}
	at := box.Addr + uapi.SboxBootIDOff
	was := binary.LittleEndian.Uint64(m.target.Peek(at, 8))
	m.target.Poke64(at, was+1)
	var damaged *sensorbox.CorruptError
	if _, err := m.patient.Sensors(t.Context()); !errors.As(err, &damaged) || Lost(err) {
		t.Errorf("a box with another boot's id: %v", err)
	}
	m.target.Poke64(at, was)
	if _, err := m.patient.Sensors(t.Context()); err != nil {
		t.Error(err)
	}
	m.target.Reboot()
	if _, err := m.patient.Sensors(t.Context()); !errors.Is(err, backdoor.ErrReplaced) {
		t.Errorf("after a reboot: %v", err)
	}
}
