// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"lazystate/bench/bedtest"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/testbed"
)

func TestMain(m *testing.M) {
	serving()
	os.Exit(m.Run())
}

// The one who moves is earlier at the end than the one who stays, and gets as much.
func TestRuns(t *testing.T) {
	saved := states
	defer func() { states = saved }()
	states = []int{2}
	fig := bedtest.Measured(t, &program, "--runs=1", "--kb=112")
	end := map[string]result.Point{}
	for _, p := range fig.Points {
		end[p.Series] = p
	}
	m, s := end["ours: moves, 2 KB"], end["ours: stays, 2 KB"]
	if m.X == 0 || m.X >= s.X || m.Y != 112 || s.Y != 112 {
		t.Errorf("%v with moves, %v without", m, s)
	}
}

// A server decays by an eighth of the interval with each chunk, and not before it
// has sent 32 KB.
func TestDecay(t *testing.T) {
	if wait(1) != interval || wait(healthy) != interval || wait(healthy+1) != interval*9/8 || wait(healthy+8) != 2*interval {
		t.Errorf("%v, %v, %v, %v", wait(1), wait(healthy), wait(healthy+1), wait(healthy+8))
	}
	if got, want := decayed(healthy+1), healthy*interval; got != want {
		t.Errorf("%d chunks take %v, want %v", healthy+1, got, want)
	}
	if decayed(256) < 20*255*interval/8 {
		t.Errorf("256 chunks of one server take %v only", decayed(256))
	}
}

// The policy leaves a server once it decays, not before, and not at once the next.
func TestPolicyLeavesWhatDecays(t *testing.T) {
	var w watch
	var at time.Duration
	bytes, moves := 0, 0
	for range 4 {
		for n := 1; ; n++ { // chunks of one server
			bytes += chunk
			if w.look(point{at, bytes}, moves) {
				if n <= healthy || n > healthy+16 {
					t.Errorf("move %d after %d chunks", moves+1, n)
				}
				break
			}
			if n > 2*healthy {
				t.Fatal("it does not leave")
			}
			at += wait(n)
		}
		moves++
	}
}

// A move that comes to nothing leaves the session where it is; there is one at a
// time, and the last one is waited for.
func TestMover(t *testing.T) {
	s1, s2 := &testbed.Site{}, &testbed.Site{}
	answers, asked := make(chan error), make(chan *testbed.Site, 9)
	m := mover{at: s1, other: s2, ask: func(to *testbed.Site) error { asked <- to; return <-answers }}
	var got trip
	for _, want := range []struct {
		to             *testbed.Site
		err            error
		moves, refused int
	}{{s2, errors.New("busy"), 0, 1}, {s2, nil, 1, 1}, {s1, nil, 2, 1}} {
		m.begin()
		m.begin()
		if to := <-asked; to != want.to {
			t.Error("it is to go to the server that it is with")
		}
		m.heard(&got) // nothing yet
		answers <- want.err
		m.wait(&got)
		if got.moves != want.moves || got.refused != want.refused || len(asked) > 0 {
			t.Errorf("%+v, %d more are asked for", got, len(asked))
		}
	}
	m.ask = nil
	if m.begin(); m.outcome != nil {
		t.Error("one that stays moves")
	}
}

// A stream that ends early is no trip.
func TestReadToTheEnd(t *testing.T) {
	total = 4
	for sent, whole := range map[int]bool{4 << 10: true, 4<<10 - 1: false} {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write(make([]byte, sent))
			_ = server.Close()
		}()
		var got trip
		if err := got.read(client, &mover{}); (err == nil) != whole {
			t.Errorf("%d bytes: %v", sent, err)
		}
		if last := got.trace[len(got.trace)-1]; last.bytes != sent {
			t.Errorf("%d bytes: the trace ends with %+v", sent, last)
		}
	}
}

// The figure has the trip with the median time, to its last byte.
func TestShow(t *testing.T) {
	var trips []trip
	for _, ms := range []int{30, 10, 20} {
		var one trip
		for i := range 6 {
			one.trace = append(one.trace, point{time.Duration(ms*i/5) * time.Millisecond, (i + 1) * chunk})
		}
		trips = append(trips, one)
	}
	fig := &result.Figure{}
	show(fig, &trial.Options{Log: io.Discard}, kind{2, true}, trips)
	if len(fig.Points) != 3 || fig.Points[2].X != 0.02 || fig.Points[2].Y != 6 {
		t.Errorf("%+v", fig.Points)
	}
}
