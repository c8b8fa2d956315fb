// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestReads(t *testing.T) {
	const at = "127.0.7.1:7700"
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan int, 1)
	go func() {
		served <- run(ctx, []string{"--device", "roce://127.0.7.1:24791", "--listen", at}, nil, &bytes.Buffer{}, t.Output())
	}()
	for _, args := range [][]string{
		{"--iters", "50"},
		{"--iters", "130", "--size", "4096", "--depth", "16", "--every", "7", "--batch", "3"},
		{"--iters", "1", "--depth", "4", "--every", "4"},
	} {
		out := dial(t, append([]string{"--device", "roce://127.0.7.2:24791", "--dial", at}, args...))
		var r report
		if err := json.Unmarshal([]byte(out), &r); err != nil || r.MeanUs <= 0 || r.MiBPerS <= 0 {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}
	stop()
	if code := <-served; code != 0 {
		t.Errorf("the server's exit: %d", code)
	}
}

// dial tries until the server listens.
func dial(t *testing.T, args []string) string {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		var out, talk bytes.Buffer
		code := run(t.Context(), args, nil, &out, &talk)
		if code == 0 {
			return out.String()
		}
		early := strings.Contains(talk.String(), "nobody listens") || strings.Contains(talk.String(), "does not answer")
		if !early || time.Now().After(end) {
			t.Fatalf("%v: exit %d: %s", args, code, &talk)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"--dial", "a", "--listen", "b"}, {"--dial", "a", "--depth", "2", "--batch", "3"}, {"--dial", "a", "--every", "2"}, {"--dial", "a", "--iters", "0"}, {"--dial", "a", "more"},
	} {
		if code := run(t.Context(), args, nil, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
			t.Errorf("%v: exit %d", args, code)
		}
	}
}
