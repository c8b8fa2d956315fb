// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
)

// stream makes samples of a target, as they come without a carrier.
type stream struct {
	kernel *bdtest.Target
	id     uint32
	target *backdoor.Target
	view   sensorbox.View
	value  uint64
	at     time.Duration
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func newStream(t *testing.T) *stream {
	s := &stream{kernel: bdtest.New()}
	s.id = s.kernel.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 3600e6, Name: sensorName, Unit: "ticks"})
	var err error
	if s.target, err = backdoor.Open(t.Context(), s.kernel.Memory()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stream) next(t fataler, alive, answered bool) sensorbox.Input {
	t.Helper()
	s.at += period
	in := sensorbox.Input{Start: s.at, End: s.at + time.Millisecond, Outcome: sensorbox.NoAnswer}
	if alive {
		s.value++
		s.kernel.SetValue(s.id, s.value)
	}
	if !answered {
		in.End = s.at + period
		return in
	}
	box, err := s.target.Region(uapi.KindSensorbox)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, box.Len)
	batch := backdoor.NewBatch(box.Read(0, raw))
	s.target.Memory().Post(context.Background(), batch)
	<-batch.Done()
	if err := batch.Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.view.Decode(raw, nil); err != nil {
		t.Fatal(err)
	}
	in.Outcome, in.View = sensorbox.Answered, &s.view
	return in
}

// §3.4.2: "at least R >= log(PM(T)) / log(p_ml) times during a time interval T" is
// that R samples in a row are lost with a probability of p_ml to the power of R, as
// they are where losses are independent.
func TestPaperFormula(t *testing.T) {
	const loss, samples = 0.3, 60_000
	rnd := rand.New(rand.NewPCG(1, 2))
	var d [mostR]unchanged
	for r := range d {
		d[r].r = r + 1
	}
	for range samples {
		answered := rnd.Float64() >= loss
		for r := range d {
			d[r].sample(answered)
		}
	}
	for r := range d {
		if d[r].windows != samples/(r+1) {
			t.Errorf("R = %d: %d deadlines", r+1, d[r].windows)
		}
		want := math.Pow(loss, float64(r+1))
		if got := share(d[r].accused, d[r].windows); math.Abs(got-want) > 0.01 {
			t.Errorf("R = %d: %v of the deadlines, the formula says %v", r+1, got, want)
		}
	}
}

// Ours never accuses a healthy target, whatever is lost.
func TestOursNeedsTwoAnswers(t *testing.T) {
	s := newStream(t)
	rapid.Check(t, func(t *rapid.T) {
		j := newJury()
		for _, answered := range rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "answered") {
			j.hear(s.next(t, true, answered))
		}
		for r := range j.ours {
			if j.ours[r].accused != 0 {
				t.Fatalf("R = %d: %d accusations", r+1, j.ours[r].accused)
			}
		}
	})
}

// A target that stands still is accused by ours, and silence is told.
func TestOursAccusesTheDead(t *testing.T) {
	s, j := newStream(t), newJury()
	for range 3 {
		j.hear(s.next(t, true, true))
	}
	for range 3 * mostR {
		j.hear(s.next(t, false, true))
	}
	for r := range j.ours {
		if j.ours[r].accused != 1 || j.paper[r].accused != 0 {
			t.Errorf("R = %d: ours %d, theirs %d", r+1, j.ours[r].accused, j.paper[r].accused)
		}
	}
	for range 3 * mostR {
		j.hear(s.next(t, false, false))
	}
	for r := range j.ours {
		if j.ours[r].silent == 0 || j.paper[r].accused == 0 {
			t.Errorf("R = %d: silence: ours %d, theirs %d", r+1, j.ours[r].silent, j.paper[r].accused)
		}
	}
	if j.lost != 3*mostR || j.samples != 3+6*mostR || j.String() == "" {
		t.Errorf("%s", j)
	}
}

// A monitor's samples over a network that loses a tenth come through, and each has
// its place in the count.
func TestRig(t *testing.T) {
	r, err := newRig(t.Context(), 0.1, 1)
	if err != nil {
		t.Fatal(err)
	}
	j := newJury()
	for range 15 { // a machine that is busy may be late for each slot of the first
		if err := r.sample(t.Context(), 2*time.Second, j); err != nil {
			t.Fatal(err)
		}
		if j.lost < j.samples {
			break
		}
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	t.Log(j)
	if j.samples == 0 || j.lost == j.samples {
		t.Errorf("nothing was answered: %s", j)
	}
	for i := range j.paper {
		if got := j.paper[i].windows; got != j.samples/(i+1) {
			t.Errorf("R = %d: %d deadlines of %d samples", i+1, got, j.samples)
		}
	}
}
