// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/sensorbox"
)

// A limit that is crossed at every sample is one line of the evidence, and no
// other event is lost for it.
func TestEvidenceOfNoise(t *testing.T) {
	procs := sensorbox.Event{Kind: sensorbox.Exceeded, Sensor: SensorNProcs, Class: sensorbox.Level, Value: 203, Limit: 150, TargetLimit: 150}
	oom := sensorbox.Event{Kind: sensorbox.Pressed, Sensor: SensorOOM, Class: sensorbox.Pressure, Since: 1}
	events := []sensorbox.Event{procs, oom}
	for len(events) < mostPending {
		events = append(events, procs)
	}
	want := []string{"exceeded NPROCS 203 > 150, and 62 times more", "pressed OOM_KILLER_RUNNING 1 new events > 0"}
	if d := cmp.Diff(want, evidence(events)); d != "" {
		t.Error(d)
	}
}
