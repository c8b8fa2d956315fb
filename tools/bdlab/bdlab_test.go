// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lazystate/tools/lab"
)

// TestMain lets the test binary be bdlab: "up" starts itself as "supervise".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "supervise" {
		main()
	}
	os.Exit(m.Run())
}

// bdlab runs the command in this process.
func bdlab(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"bdlab"}, args...), strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"nonsense"}, {"up"}, {"up", "a", "b"}, {"up", "x", "--mem", "1"}, {"exec", "x"}, {"down"}, {"qmp", "x"},
		{"qmp", "x", "stop", "{"}, {"up", "--file", "x", "vm"}, {"ls", "--frob"}, {"supervise"},
	} {
		if code, out, errs := bdlab(t, "", args...); code != 2 || out != "" && len(args) > 0 || !strings.HasPrefix(errs, "bdlab: ") {
			t.Errorf("bdlab %v: exit %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestUpExecDown(t *testing.T) {
	lab.Need(t)
	name := fmt.Sprintf("cmd-%d", os.Getpid())
	if code, _, errs := bdlab(t, "", "up", "--mem", "128", "--cpus", "1", "--nic", "10.77.0.1/24", name); code != 0 || !strings.Contains(errs, name+" is up") {
		t.Fatalf("up: exit %d, %s", code, errs)
	}
	defer bdlab(t, "", "down", name)
	if code, out, _ := bdlab(t, "in", "exec", name, "sh", "-c", "cat; exit 7"); code != 7 || out != "in" {
		t.Errorf("exec: exit %d, %q", code, out)
	}
	if code, out, errs := bdlab(t, "hostname\n", "shell", name); code != 0 || !strings.Contains(out, name) {
		t.Errorf("shell: exit %d, %q, %q", code, out, errs)
	}
	if code, out, _ := bdlab(t, "", "qmp", name, "human-monitor-command", `{"command-line": "info status"}`); code != 0 || !strings.Contains(out, "running") {
		t.Errorf("qmp: exit %d, %q", code, out)
	}
	checkFiles(t, name)
	checkConsole(t, name)
	if code, _, errs := bdlab(t, "", "up", name); code != 1 || !strings.Contains(errs, lab.ErrExists.Error()) {
		t.Errorf("up again: exit %d, %q", code, errs)
	}
	if info := listed(t, name); info == nil || info.MemMiB != 128 {
		t.Errorf("ls: %+v", info)
	}
	if code, _, errs := bdlab(t, "", "down", name); code != 0 {
		t.Errorf("down: exit %d, %q", code, errs)
	}
	if info := listed(t, name); info != nil {
		t.Errorf("after down: %+v", info)
	}
	if code, _, errs := bdlab(t, "", "exec", name, "true"); code != 1 || !strings.Contains(errs, lab.ErrNoVM.Error()) {
		t.Errorf("exec after down: exit %d, %q", code, errs)
	}
}

func checkFiles(t *testing.T, name string) {
	t.Helper()
	src, dst := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "dst")
	if err := os.WriteFile(src, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"put", name, src, "/tmp/f"}, {"get", name, "/tmp/f", dst}} {
		if code, _, errs := bdlab(t, "", args...); code != 0 {
			t.Errorf("%v: %s", args, errs)
		}
	}
	if b, err := os.ReadFile(dst); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
}

// checkConsole logs in on the serial line, which needs no command channel.
func checkConsole(t *testing.T, name string) {
	t.Helper()
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, errs := &awaited{what: "con42sole", said: make(chan struct{})}, &bytes.Buffer{}
	go func() {
		defer w.Close()
		fmt.Fprint(w, "echo con$((40+2))sole\n")
		select {
		case <-out.said:
		case <-time.After(time.Minute):
		}
		fmt.Fprint(w, "\x1d")
	}()
	code := run(t.Context(), []string{"bdlab", "console", name}, in, out, errs)
	if code != 0 || !strings.Contains(out.String(), out.what) {
		t.Errorf("console: exit %d, %q, %q", code, out.String(), errs.String())
	}
}

// awaited is an output that tells when something has been said.
type awaited struct {
	b    bytes.Buffer // written by one
	what string
	said chan struct{}
	once sync.Once
}

func (a *awaited) String() string { return a.b.String() }

func (a *awaited) Write(p []byte) (int, error) {
	n, err := a.b.Write(p)
	if strings.Contains(a.String(), a.what) {
		a.once.Do(func() { close(a.said) })
	}
	return n, err
}

func listed(t *testing.T, name string) *lab.Info {
	t.Helper()
	code, out, errs := bdlab(t, "", "ls", "--json")
	var all []lab.Info
	if err := json.Unmarshal([]byte(out), &all); code != 0 || err != nil {
		t.Fatalf("ls: exit %d, %v, %q", code, err, errs)
	}
	for _, i := range all {
		if i.Name == name {
			return &i
		}
	}
	return nil
}

// A supervisor that is told to end takes its machine down in order.
func TestSupervisorEndsOnSignal(t *testing.T) {
	lab.Need(t)
	name := fmt.Sprintf("sig-%d", os.Getpid())
	if code, _, errs := bdlab(t, "", "up", "--mem", "128", "--cpus", "1", name); code != 0 {
		t.Fatal(errs)
	}
	info := listed(t, name)
	if info == nil {
		t.Fatal("not listed")
	}
	if err := syscall.Kill(info.OwnerPID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, errRAM := os.Stat(info.RAM)
		_, errQEMU := os.Stat(fmt.Sprintf("/proc/%d/cmdline", info.QEMUPID))
		if os.IsNotExist(errRAM) && os.IsNotExist(errQEMU) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("RAM file: %v, QEMU: %v", errRAM, errQEMU)
		}
	}
}
