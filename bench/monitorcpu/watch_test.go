// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
)

// The feed is this test binary started again, as the bench starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == feedCommand {
		os.Exit(feedMain(os.Args[2:], os.Stderr))
	}
	os.Exit(m.Run())
}

func TestWatchesCountTheirSamples(t *testing.T) {
	f, err := guest.NewFiles(t.Context(), sensors)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop, err := startFeed(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	const window = 400 * time.Millisecond
	free, err := freeRunning(t.Context(), f.Target, f.Open, window)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := every(10*time.Millisecond)(t.Context(), f.Target, f.Open, window)
	if err != nil {
		t.Fatal(err)
	}
	// A busy host makes samples late, and the end of the window, so only the upper bound is sharp.
	most := uint64(slow.took/(10*time.Millisecond)) + 2
	if slow.samples < 5 || slow.samples > most || free.samples < 10*slow.samples {
		t.Errorf("free-running %d samples, every 10 ms %d in %v", free.samples, slow.samples, slow.took)
	}
	if slow.cpu <= 0 || slow.cpu >= slow.took || slow.took < window {
		t.Errorf("%+v", slow)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestTheFeedMovesEverySensor(t *testing.T) {
	f, err := guest.NewFiles(t.Context(), sensors)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop, err := startFeed(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	value := func(i int) uint64 {
		off := f.Kernel.Area(uapi.KindSensorbox) + uint64(uapi.SboxSize+i*uapi.SensorSize+uapi.SensorValueOff)
		return binary.LittleEndian.Uint64(f.Kernel.Peek(off, 8))
	}
	for end := time.Now().Add(2 * time.Minute); value(0) < 3 || value(sensors-1) < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("sensors stand at %d and %d", value(0), value(sensors-1))
		}
	}
	if value(sensors) != 0 {
		t.Error("a record behind the last sensor was written")
	}
}

func TestFeedRefusesNonsense(t *testing.T) {
	for _, args := range [][]string{nil, {"/nonexistent", "0", "1"}, {"/dev/null", "x", "1"}, {"/dev/null", "0", "x"}, {"/dev/null", "0", "1"}} {
		var b strings.Builder
		if code := feedMain(args, &b); code != 1 || b.Len() == 0 {
			t.Errorf("%v: exit %d, said %q", args, code, b.String())
		}
	}
}
