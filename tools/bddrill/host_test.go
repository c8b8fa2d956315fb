// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestVCPUTime(t *testing.T) {
	dir := t.TempDir()
	for tid, text := range map[string]string{"1": "10 500 3", "2": "900 100 7\n", "3": "800 50 9\n", "4": "nonsense"} {
		if err := os.Mkdir(filepath.Join(dir, tid), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, tid, "schedstat"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := vcpuTime(dir, 2)
	if err != nil || s.ran != 1700 || s.wait != 150 {
		t.Errorf("%v: ran %d, waited %d, want the two busiest: 1700, 150", err, s.ran, s.wait)
	}
	if _, err := vcpuTime(dir, 4); err == nil {
		t.Error("four vCPUs in three threads")
	}
	if s, err := vcpuTime("/proc/self/task", 1); err != nil || s.ran <= 0 {
		t.Errorf("this process: %+v, %v", s, err)
	}
}

func TestShareOfTheHost(t *testing.T) {
	start := time.Now()
	h := &host{}
	// Ten seconds alone, then ten in which every second millisecond is waited for.
	for i := range 41 {
		s := hostSample{at: start.Add(time.Duration(i) * hostEvery), ran: time.Duration(i) * hostEvery}
		if i > 20 {
			s.ran -= time.Duration(i-20) * hostEvery / 2
			s.wait = time.Duration(i-20) * hostEvery / 2
		}
		h.samples = append(h.samples, s)
	}
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		from, to int
		want     float64
	}{{0, 10, 0}, {10, 20, 0.5}, {0, 20, 0.25}, {30, 40, 0}} {
		if got := h.share(at(c.from), at(c.to)); math.Abs(got-c.want) > 0.01 {
			t.Errorf("share from %d to %d s: %.3f, want %.3f", c.from, c.to, got, c.want)
		}
	}
}
