// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/internal/syncbuf"
	"lazystate/tools/control"
)

// rig is a fake kernel in two files, and a bdmon that maps them.
type rig struct {
	*bdtest.Target
	dir    string
	nprocs uint32
	stderr *syncbuf.Buffer
	stop   context.CancelFunc
	code   chan int
}

var key, crewKey = uapi.Key{1, 2, 3}, uapi.Key(bytes.Repeat([]byte{1}, 16))

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), stderr: &syncbuf.Buffer{}, code: make(chan int, 1)}
	ram, bar := bdtest.MapFile(t, r.path("ram"), 16<<20), bdtest.MapFile(t, r.path("bar"), 4096)
	r.Target = bdtest.New(bdtest.WithBacking(ram, bar), bdtest.WithKey(0, key), bdtest.WithKey(1, crewKey), bdtest.WithKey(2, crewKey), bdtest.WithKey(3, crewKey), bdtest.WithFence())
	r.SetSensor(bdtest.Sensor{Class: uapi.Progress, Flags: uapi.SensorClock, Limit: 400_000, Name: "tick0"})
	r.nprocs = r.SetSensor(bdtest.Sensor{Class: uapi.Level, Limit: 300, Value: 10, Name: "NPROCS"})
	r.write(t, "key", hex.EncodeToString(key[:]))
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(r.path(name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// configure writes bdmon's file; more are lines of the target.
func (r *rig) configure(t *testing.T, more string) {
	t.Helper()
	r.write(t, "bdmon.yaml", fmt.Sprintf(`
socket: %[1]s/sock
metrics: 127.0.0.1:0
audit: %[1]s/audit.jsonl
targets:
  - name: t1
    url: inic://%[1]s/ram
    key_file: %[1]s/key
    period: 20ms
%[2]s`, r.dir, more))
}

// start runs bdmon, and the guest's CPUs beside it, if they are the rig's own.
func (r *rig) start(t *testing.T, args ...string) *control.Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	off := func() {}
	if r.Target != nil {
		off = r.Run(5 * time.Millisecond)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		args = append([]string{"bdmon", "--config", r.path("bdmon.yaml")}, args...)
		r.code <- run(ctx, args, strings.NewReader(""), &bytes.Buffer{}, r.stderr)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Errorf("bdmon does not end:\n%s", r.stderr)
		}
		off()
	})
	return r.dial(t)
}

func (r *rig) dial(t *testing.T) *control.Client {
	t.Helper()
	var last error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		c, err := control.Dial(ctx, r.path("sock"))
		if err == nil {
			t.Cleanup(func() { c.Close(); cancel() })
			return c
		}
		cancel()
		last = err
	}
	t.Fatalf("no control socket: %v\n%s", last, r.stderr)
	return nil
}

// eventually waits for a condition of the running bdmon.
func (r *rig) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s\n%s", what, r.stderr)
}

func (r *rig) up(t *testing.T, c *control.Client) control.Target {
	t.Helper()
	var all []control.Target
	r.eventually(t, "target is up", func() bool {
		if err := c.Call(control.Request{Cmd: "targets"}, &all); err != nil {
			t.Fatal(err)
		}
		return len(all) > 0 && all[0].Up && all[0].Samples > 2
	})
	return all[0]
}

// owned waits until bdmon may write to the target.
func (r *rig) owned(t *testing.T, c *control.Client) control.Target {
	t.Helper()
	got := r.up(t, c)
	r.eventually(t, "bdmon owns the target", func() bool { got = r.up(t, c); return got.Writable })
	return got
}
