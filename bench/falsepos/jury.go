// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"lazystate/sensorbox"
)

// jury is every detector, which all see the same samples.
type jury struct {
	samples, lost int
	paper         [mostR]unchanged
	ours          [mostR]ours
}

// unchanged is the dissertation's detector (§3.4.2): a value that no sample of a
// deadline has shown to change, by its answer or for want of one, is a death.
type unchanged struct {
	r, n     int
	answered bool
	windows  int
	accused  int
}

func (d *unchanged) sample(answered bool) {
	d.answered = d.answered || answered
	if d.n++; d.n < d.r {
		return
	}
	d.windows++
	if !d.answered {
		d.accused++
	}
	d.n, d.answered = 0, false
}

// ours is package sensorbox's detector with T for a deadline.
type ours struct {
	det     *sensorbox.Detector
	events  []sensorbox.Event
	accused int
	silent  int
}

// sensorName is the target's one sensor.
const sensorName = "progress0"

func newJury() *jury {
	j := &jury{}
	for i := range mostR {
		limit := uint64(period*time.Duration(i+1)) / uint64(time.Microsecond)
		j.paper[i] = unchanged{r: i + 1}
		j.ours[i].det = sensorbox.NewDetector(sensorbox.Config{Period: period, Rules: map[string]sensorbox.Rule{sensorName: {Limit: &limit}}})
	}
	return j
}

// hear takes one sample.
func (j *jury) hear(in sensorbox.Input) {
	j.samples++
	answered := in.Outcome == sensorbox.Answered
	if !answered {
		j.lost++
	}
	for i := range mostR {
		j.paper[i].sample(answered)
		j.ours[i].hear(in)
	}
}

func (o *ours) hear(in sensorbox.Input) {
	o.events = o.det.Step(in, o.events[:0])
	for _, ev := range o.events {
		switch ev.Kind {
		case sensorbox.Failed:
			o.accused++
		case sensorbox.Unreachable, sensorbox.Suspected, sensorbox.HandOver:
			o.silent++
		}
	}
}

func (j *jury) pml() float64 { return share(j.lost, j.samples) }

func (j *jury) String() string {
	s := fmt.Sprintf("%d samples, p_ml %.4g", j.samples, j.pml())
	for i := range mostR {
		s += fmt.Sprintf("; R=%d: theirs %d of %d, ours %d (%d told)", i+1, j.paper[i].accused, j.paper[i].windows, j.ours[i].accused, j.ours[i].silent)
	}
	return s
}
