// SPDX-License-Identifier: Apache-2.0

package sensorbox

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lazystate/backdoor/uapi"
)

func bigBox(n int) *fakeBox {
	var b fakeBox
	for i := range n {
		b.add(fmt.Sprintf("sensor%d", i), Progress, 100_000, Clock)
	}
	return &b
}

func TestDecodeRefusesHeaders(t *testing.T) {
	good := bigBox(3).encode(boxSize)
	for name, break_ := range map[string]func(b []byte) []byte{
		"empty":        func(b []byte) []byte { return nil },
		"short":        func(b []byte) []byte { return b[:63] },
		"magic":        func(b []byte) []byte { b[0]++; return b },
		"major":        func(b []byte) []byte { b[uapi.SboxMajorOff]++; return b },
		"record size":  func(b []byte) []byte { b[uapi.SboxRecordSizeOff] = 63; return b },
		"capacity":     func(b []byte) []byte { b[uapi.SboxCapacityOff]++; return b },
		"count":        func(b []byte) []byte { binary.LittleEndian.PutUint32(b[uapi.SboxCountOff:], 1<<31); return b },
		"cut in half":  func(b []byte) []byte { return b[:boxSize/2] },
		"huge records": func(b []byte) []byte { b[uapi.SboxRecordSizeOff+3] = 0x80; return b },
	} {
		var v View
		if err := v.Decode(break_(append([]byte(nil), good...)), nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDecodeKeepsGoodRecords(t *testing.T) {
	b := bigBox(6)
	b.records[1].Class = 7
	b.records[2].ID = 1 // as records[0]
	b.records[3].Name[0] = 0x1b
	b.records[4].Flags = 0x8000
	var v View
	if err := v.Decode(b.encode(boxSize), nil); err != nil {
		t.Fatal(err)
	}
	if len(v.Sensors) != 2 || v.Sensors[0].Name() != "sensor0" || v.Sensors[1].Name() != "sensor5" {
		t.Errorf("sensors %+v", v.Sensors)
	}
	if len(v.Defects) != 4 {
		t.Errorf("defects %v", v.Defects)
	}
}

// Whatever a user writes into its page: the sensor stays this user's, is no
// clock and no heartbeat, and none appears that the target did not make.
func TestUserSensorsCannotPass(t *testing.T) {
	var page fakeBox
	page.add("tick", Progress, 1, 0)
	users := page.encodeUsers(1000)
	forged := page.records[0]
	forged.ID = 0<<16 | 1
	forged.Flags = uint16(Clock | Heartbeat)
	forged.Put(users[pageSize:])
	forged.ID = 2
	forged.Put(users[pageSize+uapi.SensorSize:])
	var v View
	if err := v.Decode(bigBox(1).encode(boxSize), users); err != nil {
		t.Fatal(err)
	}
	if len(v.Sensors) != 2 || len(v.Defects) != 0 {
		t.Fatalf("sensors %+v, defects %v", v.Sensors, v.Defects)
	}
	s := v.Sensors[1]
	if s.Name() != "1000/tick" || s.Flags != User || s.Page != 1 {
		t.Errorf("user sensor %+v named %q", s, s.Name())
	}
}

// What the directory says of a record holds: it is the target's.
func TestUserDirectory(t *testing.T) {
	var page fakeBox
	page.add("beat", Progress, 1, Orphaned|Heartbeat)
	users := page.encodeUsers(0)
	var v View
	if err := v.Decode(bigBox(1).encode(boxSize), users); err != nil {
		t.Fatal(err)
	}
	if s := v.Sensors[1]; s.Name() != "0/beat" || s.Flags != User|Orphaned|Heartbeat {
		t.Errorf("user sensor %+v named %q", s, s.Name())
	}
	users[0]++
	if err := v.Decode(bigBox(1).encode(boxSize), users); err != nil {
		t.Fatal(err)
	}
	if len(v.Sensors) != 1 || len(v.Defects) != 1 {
		t.Errorf("without a directory: sensors %+v, defects %v", v.Sensors, v.Defects)
	}
}

// A sample of an unchanged box costs no allocation, neither view nor detector.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	box := bigBox(100)
	buf := box.encode(boxSize)
	users := bigBox(3).encodeUsers(7)
	det := NewDetector(Config{Period: time.Millisecond})
	var view View
	now := time.Duration(0)
	events := make([]Event, 0, 16)
	sample := func() {
		now += time.Millisecond
		for i := range 100 {
			buf[uapi.SboxSize+i*uapi.SensorSize+uapi.SensorValueOff]++
		}
		if err := view.Decode(buf, users); err != nil {
			t.Fatal(err)
		}
		events = det.Step(Input{Start: now, End: now, Outcome: Answered, View: &view}, events[:0])
	}
	sample()
	if n := testing.AllocsPerRun(1000, sample); n != 0 {
		t.Errorf("%v allocations per sample", n)
	}
}

func BenchmarkSample100(b *testing.B) {
	buf := bigBox(100).encode(boxSize)
	det := NewDetector(Config{Period: time.Millisecond})
	var view View
	events := make([]Event, 0, 16)
	for i := range b.N {
		buf[uapi.SboxSize+uapi.SensorValueOff]++
		if err := view.Decode(buf, nil); err != nil {
			b.Fatal(err)
		}
		now := time.Duration(i) * time.Millisecond
		events = det.Step(Input{Start: now, End: now, Outcome: Answered, View: &view}, events[:0])
	}
}

// FuzzDecodeView: no bytes of a target harm the monitor, and a view that was
// used before decodes like a fresh one.
func FuzzDecodeView(f *testing.F) {
	box, users := bigBox(3).encode(2048), bigBox(2).encodeUsers(7)
	f.Add(box, users, uint16(70), byte(9))
	f.Add(box[:64], users[:100], uint16(4), byte(1))
	f.Add(box, []byte(nil), uint16(65535), byte(0))
	f.Fuzz(func(t *testing.T, box, users []byte, off uint16, x byte) {
		var used View
		det := NewDetector(Config{Period: time.Millisecond})
		for i := range 3 {
			err := used.Decode(box, users)
			var fresh View
			if again := fresh.Decode(box, users); (again == nil) != (err == nil) {
				t.Fatalf("used view: %v, fresh view: %v", err, again)
			}
			now := time.Duration(i) * time.Second
			in := Input{Start: now, End: now, Outcome: Answered, View: &used}
			if err != nil {
				in.Outcome, in.Why = Damaged, err.Error()
			} else if d := cmp.Diff(fresh.Sensors, used.Sensors, cmp.AllowUnexported(Sensor{}), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("fresh -, used +:\n%s", d)
			}
			det.Step(in, nil)
			det.Readings()
			if len(box) > 0 {
				box = append([]byte(nil), box...)
				box[int(off)%len(box)] ^= x
			}
		}
	})
}
