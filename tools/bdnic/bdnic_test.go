// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/backdoor/uapi"
	"lazystate/internal/syncbuf"
	"lazystate/tools/target"
	"lazystate/verbs/verbstest"
)

// patience bounds what would hang; it decides nothing else.
const patience = 60 * time.Second

var key = uapi.Key{0: 0xaa, 15: 0xbb}

// machine is a synthetic target in two files, whose CPUs run.
type machine struct {
	*bdtest.Target
	dir  string
	stop func()
}

func boot(t *testing.T, dir string) *machine {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ram, bar := bdtest.MapFile(t, filepath.Join(dir, "ram"), 16<<20), bdtest.MapFile(t, filepath.Join(dir, "bar"), 4096)
	m := &machine{dir: dir, Target: bdtest.New(bdtest.WithBacking(ram, bar), bdtest.WithKey(1, key), bdtest.ByHand())}
	m.stop = m.Run(2 * time.Millisecond)
	t.Cleanup(m.stop)
	return m
}

// off is the end of a machine: its files go.
func (m *machine) off(t *testing.T) {
	m.stop()
	if err := os.RemoveAll(m.dir); err != nil {
		t.Error(err)
	}
}

// started is bdnic as an operator starts it.
type started struct {
	addr, metrics string
	config        string
	log           syncbuf.Buffer
}

func start(t *testing.T, m *machine, more string) *started {
	t.Helper()
	dir, addr := t.TempDir(), verbstest.Loopback()
	s := &started{addr: addr.String() + ":7777", metrics: addr.String() + ":9465", config: filepath.Join(dir, "bdnic.yaml")}
	keys := filepath.Join(dir, "keys")
	text := fmt.Sprintf("target: inic://%s/ram\nkeys: %s\nlisten: [{device: 'roce://%s', address: '%s'}]\nmetrics: %s\n%s",
		m.dir, keys, addr, s.addr, s.metrics, more)
	err := errors.Join(os.WriteFile(keys, []byte(fmt.Sprintf("1 %x\n", key[:])), 0o600), os.WriteFile(s.config, []byte(text), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	exit := make(chan int, 1)
	go func() { exit <- run(ctx, []string{"bdnic", "--config", s.config}, nil, io.Discard, &s.log) }()
	t.Cleanup(func() {
		cancel()
		if code := <-exit; code != 0 {
			t.Errorf("exit %d\n%s", code, s.log.String())
		}
	})
	s.says(t, "listening")
	return s
}

// says waits for a word in the log.
func (s *started) says(t *testing.T, word string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(s.log.String(), word); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not in the log:\n%s", word, s.log.String())
		}
	}
}

func (s *started) open(t *testing.T) *backdoor.Target {
	t.Helper()
	m, err := target.Open(t.Context(), fmt.Sprintf("rdma://%s?provider=roce&device=%s&monitor=1", s.addr, verbstest.Loopback()), target.Options{Key: key, Writable: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, s.log.String())
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	bt, err := backdoor.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return bt
}

// A hung machine is read; a running one is locked and repaired; the metrics tell.
func TestServes(t *testing.T) {
	m := boot(t, filepath.Join(t.TempDir(), "vm"))
	p := m.AddProcess(bdtest.Proc{UID: 1000, Comm: "bomb"})
	s := start(t, m, "")
	bt := s.open(t)
	m.Hang(true)
	if list, err := bt.Tasks(t.Context(), backdoor.WalkOptions{}); err != nil || len(list.Tasks) != 2 {
		t.Errorf("walk of a hung machine: %v", err)
	}
	m.Hang(false)
	held, err := bt.Lock(t.Context(), backdoor.LockOptions{Slot: 1, Key: key, Lease: patience, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	h, err := bt.Hooks(1, key)
	if err != nil {
		t.Fatal(err)
	}
	h.Timeout = patience
	res, err := h.PostKills(t.Context(), []backdoor.Kill{{PID: uint32(p.PID), StartTime: p.StartTime, Signal: 9}})
	if err != nil || res[0].Err() != nil {
		t.Errorf("kill: %v, %v", res, err)
	}
	if err := held.Unlock(t.Context()); err != nil || m.Alive(p.PID) {
		t.Errorf("unlock: %v", err)
	}
	resp, err := http.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"backdoor_nic_target_up{", "} 1\n", "backdoor_nic_grants{", `result="written"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("metrics lack %q:\n%s", want, text)
		}
	}
}

// The machine is shut down and started again: its monitor sees it go, and then
// another.
func TestFollowsTheMachine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vm")
	m := boot(t, dir)
	s := start(t, m, "")
	bt := s.open(t)
	m.off(t)
	await := func(want error) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			err := bt.Check(t.Context())
			if errors.Is(err, want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%v, want %v\n%s", err, want, s.log.String())
			}
		}
	}
	await(backdoor.ErrWithdrawn)
	again := boot(t, dir)
	again.Reboot() // another boot id than the first machine's
	await(backdoor.ErrReplaced)
	if _, err := backdoor.Open(t.Context(), bt.Memory()); err != nil {
		t.Errorf("the new machine: %v", err)
	}
}

func TestSIGHUPChangesNothing(t *testing.T) {
	s := start(t, boot(t, filepath.Join(t.TempDir(), "vm")), "")
	hup := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hup()
	s.says(t, "configuration has not changed")
	f, err := os.OpenFile(s.config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("monitors: [{slot: 1, read: [sensorbox]}]\n"); err != nil {
		t.Fatal(err)
	}
	hup()
	s.says(t, "restart to change it")
	if _, err := s.open(t).Region(uapi.KindMemory); err != nil {
		t.Errorf("a sealed policy was changed: %v", err)
	}
}

func TestOneWriter(t *testing.T) {
	m := boot(t, filepath.Join(t.TempDir(), "vm"))
	first := start(t, m, "")
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"bdnic", "--config", first.config}, nil, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "writer's place") {
		t.Errorf("a second one: exit %d, %s", code, stderr.String())
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--config", "/nowhere"}, 1, "/nowhere"},
		{[]string{"--check-config", "x"}, 2, "unexpected argument"},
		{[]string{"--log-level", "loud"}, 2, "--log-level"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), append([]string{"bdnic"}, c.args...), nil, &out, &out); code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%q: exit %d, %s", c.args, code, out.String())
		}
	}
}
