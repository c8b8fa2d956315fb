// SPDX-License-Identifier: Apache-2.0

package bdtest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
)

func TestConformance(t *testing.T) {
	Conformance(t, func(t *testing.T, opts ...Option) (backdoor.Memory, *Target) {
		target := New(opts...)
		return target.Memory(), target
	})
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := New()
		m := target.Memory()
		bt := opened(t, m)
		box, err := bt.Region(uapi.KindSensorbox)
		if err != nil {
			t.Fatal(err)
		}
		read := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return bt.Do(ctx, box.Read(0, make([]byte, 64)))
		}
		m.Latency(100 * time.Millisecond)
		if began := time.Now(); read() != nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("a read took %s", time.Since(began))
		}
		m.Heal()
		m.Freeze()
		if err := read(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("frozen: %v", err)
		}
		m.Heal()
		m.Lose(1, 1)
		if err := read(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("lost: %v", err)
		}
		m.Heal()
		broken := errors.New("broken")
		m.OnIndex(m.Ops()+1, broken)
		if first, second := read(), read(); first != nil || !errors.Is(second, broken) {
			t.Errorf("on index: %v, %v", first, second)
		}
		m.Lose(1, 1)
		late := backdoor.NewBatch(box.Read(0, make([]byte, 64)))
		m.Post(t.Context(), late)
		m.Close()
		if err := late.Wait(t.Context()); !errors.Is(err, backdoor.ErrClosed) {
			t.Errorf("lost, then closed: %v", err)
		}
	})
}

// During makes a read torn: the halves are of two moments.
func TestDuring(t *testing.T) {
	target := New()
	bt := opened(t, target.Memory())
	id := target.SetSensor(Sensor{Class: uapi.Level, Name: "NPROCS", Value: 1})
	target.Memory().During(func(int, *backdoor.Op) { target.SetSensor(Sensor{ID: id, Class: uapi.Level, Name: "OTHER", Value: 2}) })
	box, err := bt.Region(uapi.KindSensorbox)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, uapi.SensorSize)
	if err := bt.Do(t.Context(), box.Read(uapi.SboxSize, buf)); err != nil {
		t.Fatal(err)
	}
	var s uapi.Sensor
	if err := s.Decode(buf); err != nil {
		t.Fatal(err)
	}
	if s.Value != 1 || uapi.CString(s.Name[:8]) != "NPROCS" {
		t.Errorf("the first half is %d %q", s.Value, s.Name)
	}
	target.Memory().Heal()
	if err := bt.Do(t.Context(), box.Read(uapi.SboxSize, buf)); err != nil || buf[16] != 2 {
		t.Errorf("afterwards the value is %d, %v", buf[16], err)
	}
}

func TestSensorsTickUnlessHung(t *testing.T) {
	target := New()
	id := target.SetSensor(Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Name: "ticks", Limit: 1000})
	value := func() byte {
		return target.Peek(target.Area(uapi.KindSensorbox)+uapi.SboxSize+uapi.SensorValueOff, 8)[0]
	}
	target.Tick(time.Millisecond)
	target.Hang(true)
	target.Tick(time.Millisecond)
	if value() != 1 {
		t.Errorf("sensor %d is %d", id, value())
	}
	target.Hang(false)
	target.Tick(time.Millisecond)
	target.Crash(uapi.PanicOops, "oops")
	target.Tick(time.Millisecond)
	if value() != 2 {
		t.Errorf("sensor %d is %d", id, value())
	}
	if cause := target.Peek(target.Area(uapi.KindPanic)+uapi.PanicCauseOff, 4)[0]; cause != uapi.PanicOops {
		t.Errorf("panic cause %d", cause)
	}
}
