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
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/tools/control"
)

// rig is a fake kernel in two files, and a bdmon that maps them.
type rig struct {
	*bdtest.Target
	dir    string
	nprocs uint32
	stderr *syncBuffer
	stop   context.CancelFunc
	code   chan int
}

// syncBuffer takes bdmon's log while the test reads it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// mapped makes a file and maps it shared: what a guest writes, others see.
func mapped(t *testing.T, path string, size int) []byte {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return b
}

var key, crewKey = uapi.Key{1, 2, 3}, uapi.Key(bytes.Repeat([]byte{1}, 16))

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), stderr: &syncBuffer{}, code: make(chan int, 1)}
	ram, bar := mapped(t, r.path("ram"), 16<<20), mapped(t, r.path("bar"), 4096)
	r.Target = bdtest.New(bdtest.WithBacking(ram, bar), bdtest.WithKey(0, key), bdtest.WithKey(1, crewKey), bdtest.WithKey(2, crewKey), bdtest.WithKey(3, crewKey))
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
	var guest sync.WaitGroup
	guest.Go(func() {
		for r.Target != nil && ctx.Err() == nil {
			r.Tick(5 * time.Millisecond)
			r.Step()
			time.Sleep(5 * time.Millisecond)
		}
	})
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
		guest.Wait()
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
