// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// answers checks that every built-in answers while load runs, which never ends:
// who had to wait for it would wait for ever. How long it takes is told, not
// judged: the host is shared.
func answers(t *testing.T, vm *VM, load string) {
	t.Helper()
	for name, f := range map[string]func(context.Context) error{
		"ping":   vm.Ping,
		"status": func(ctx context.Context) error { _, err := vm.Status(ctx); return err },
		"ps":     func(ctx context.Context) error { _, err := vm.PS(ctx); return err },
		"get":    func(ctx context.Context) error { _, err := vm.ReadFile(ctx, "/proc/meminfo"); return err },
		"put":    func(ctx context.Context) error { return vm.WriteFile(ctx, "/run/lab-test", []byte("x"), 0o600) },
	} {
		var worst time.Duration
		for range Count(3, 10) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start := time.Now()
			if err := f(ctx); err != nil {
				t.Errorf("%s under %s: %v", name, load, err)
			}
			worst = max(worst, time.Since(start))
			cancel()
		}
		t.Logf("%s under %s: at most %v", name, load, worst)
	}
}

func processesOf(t *testing.T, vm *VM, uid int) int {
	t.Helper()
	all, err := vm.PS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range all {
		if p.UID == uid {
			n++
		}
	}
	return n
}

// bomb makes 400 processes that wait at a gate: forking them one by one beside
// those that already spin would take minutes.
const bomb = `mkfifo /tmp/gate; exec 3<>/tmp/gate; i=0
while [ $i -lt 400 ]; do (read x <&3; while :; do (:); done) & i=$((i+1)); done; wait`

// releaseRogue starts a program of nobody's, in a group that goes with the test: the
// machine is others' too.
func releaseRogue(t *testing.T, vm *VM, script string, limits map[string]uint64) {
	t.Helper()
	pid, err := vm.Start(t.Context(), Proc{Argv: []string{"/bin/sh", "-c", script}, UID: nobody, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vm.Kill(context.Background(), -pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
	})
}

// nobodyIsLeft waits, at the end of the test, for the end of what was released before.
func nobodyIsLeft(t *testing.T, vm *VM) {
	waitGone(t, "what nobody started", func() bool {
		all, err := vm.PS(context.Background())
		return err == nil && !slices.ContainsFunc(all, func(p Process) bool { return p.UID == nobody && p.State != "Z" })
	})
}

const nobody = 65534

func TestAnswersUnderForkBomb(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	t.Cleanup(func() { nobodyIsLeft(t, vm) })
	releaseRogue(t, vm, bomb, map[string]uint64{"nproc": 1000})
	for end := time.Now().Add(5 * time.Minute); processesOf(t, vm, nobody) <= 400; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d processes after five minutes", processesOf(t, vm, nobody))
		}
	}
	if err := vm.WriteFile(t.Context(), "/tmp/gate", []byte(strings.Repeat("\n", 400)), 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	answers(t, vm, fmt.Sprintf("a bomb of %d", processesOf(t, vm, nobody)))
	start := time.Now()
	if r, err := vm.Run(t.Context(), "id", "-u"); err != nil || r.Stdout != "0\n" {
		t.Errorf("run under the bomb: %+v, %v", r, err)
	}
	t.Logf("a program of root's ran in %v", time.Since(start))
}

func TestAnswersWithoutMemory(t *testing.T) {
	vm := Shared(t, plain("6.1"))
	t.Cleanup(func() { nobodyIsLeft(t, vm) })
	for range 10 {
		releaseRogue(t, vm, "while :; do tail /dev/zero; done", nil)
	}
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		st, err := vm.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.SwapKiB < 1024 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not exhausted after five minutes: %+v", st)
		}
	}
	answers(t, vm, "exhausted memory")
}
