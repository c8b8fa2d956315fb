// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"errors"
	"os"
	"testing"
)

func TestGaugeFollowsItsSensor(t *testing.T) {
	f, err := NewFiles(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGauge(t.Context(), f.Target, "progress1")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{7, 1 << 40, 8} {
		f.Kernel.SetValue(f.Sensors[1], want)
		f.Kernel.SetValue(f.Sensors[2], want+1)
		if got, err := g.Read(t.Context()); err != nil || got != want {
			t.Errorf("%d, %v; want %d", got, err, want)
		}
	}
	if _, err := NewGauge(t.Context(), f.Target, "progress9"); !errors.Is(err, ErrNoSensor) {
		t.Errorf("a sensor that is not there: %v", err)
	}
	dir := f.dir
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%v left behind", err)
	}
	if _, err := g.Read(t.Context()); err == nil {
		t.Error("a closed target was read")
	}
}
