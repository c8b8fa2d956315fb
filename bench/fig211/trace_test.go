// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"testing"
	"time"

	"lazystate/bench/bedtest"
)

func TestRuns(t *testing.T) {
	fig := bedtest.Measured(t, &program, "--runs=2")
	series := map[string]int{}
	for _, p := range fig.Points {
		series[p.Series]++
	}
	if series["ours: old server"] == 0 || series["ours: new server"] == 0 || series["ours: first of the new one"] != 1 {
		t.Errorf("%v", series)
	}
}

func TestCut(t *testing.T) {
	s1, s2, t0 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), time.Unix(100, 0)
	at := func(ms int, from netip.Addr) segment {
		return segment{at: t0.Add(time.Duration(ms) * time.Millisecond), from: from, len: 1}
	}
	m, err := cut([]segment{at(-90, s1), at(-5, s1), at(2, s1), at(5, s2), at(90, s2)}, t0, 60*time.Millisecond, s1, s2)
	if err != nil || len(m.old) != 2 || len(m.now) != 1 || m.gap() != 3*time.Millisecond || m.overlap() != 2*time.Millisecond {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := cut([]segment{at(0, s1)}, t0, time.Second, s1, s2); err == nil {
		t.Error("a move without a new server")
	}
}

// What is not TCP with data is no segment, however short.
func TestParse(t *testing.T) {
	b := make([]byte, 41)
	b[0], b[3], b[9], b[32] = 0x45, 41, 6, 0x50
	if s, ok := parse(b); !ok || s.len != 1 {
		t.Errorf("%+v, %v", s, ok)
	}
	for n := range b[:40] {
		if _, ok := parse(b[:n]); ok {
			t.Errorf("%d bytes are a segment", n)
		}
	}
	b[3] = 40
	if _, ok := parse(b); ok {
		t.Error("no data, and a segment")
	}
}
