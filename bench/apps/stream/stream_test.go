// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"
)

// server runs serve on a port of its own and returns the address.
func server(t *testing.T, chunk int, every time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, l, make([]byte, chunk), every) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("serve did not end with its context")
		}
	})
	return l.Addr().String()
}

func TestEveryStreamGetsItsRate(t *testing.T) {
	const chunk, every = 1000, 100 * time.Millisecond
	addr := server(t, chunk, every)
	var out bytes.Buffer
	start := time.Now()
	if code := run(t.Context(), []string{"play", "--addr", addr, "--streams", "8", "--for", "1s"}, nil, &out, io.Discard); code != 0 {
		t.Fatalf("exit %d", code)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	// 8 streams x 10 kB/s, for as long as they were open; a busy machine may be late, it
	// is never early.
	most := 8 * chunk * int64(time.Since(start)/every)
	if r.Streams != 8 || r.Bytes < 8*5000 || r.Bytes > most {
		t.Errorf("%+v: want 8 streams, about 80000 bytes and at most %d", r, most)
	}
	if r.Seconds < 0.9 || r.LongestMS <= 0 {
		t.Errorf("%+v: the play was cut short", r)
	}
}

func TestInterval(t *testing.T) {
	if got := interval(16000, 1000); got != 62500*time.Microsecond {
		t.Errorf("1000 bytes at 16000/s: every %v", got)
	}
}

func TestWrongUseExits2(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}, {"play", "--volume", "11"}, {"play", "extra"}} {
		if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if code := run(t.Context(), []string{"play", "--addr", "127.0.0.1:1", "--for", "1s"}, nil, io.Discard, io.Discard); code != 1 {
		t.Errorf("no server: exit %d", code)
	}
}
