// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStopAndReset(t *testing.T) {
	t.Parallel()
	vm := New(t, Config{Kernel: "6.12", MemMiB: 128, VCPUs: 1}) // see mostAgain: a reset is a boot, and is not begun again
	ctx := t.Context()
	if err := vm.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := vm.Ping(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stopped machine answers: %v", err)
	}
	if err := vm.Cont(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := vm.BootID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	under := make(chan error, 1)
	go func() { _, err := vm.Run(ctx, "sleep", "1000"); under <- err }()
	waitGone(t, "the wait for a sleeper", func() bool {
		all, err := vm.PS(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(p Process) bool { return p.Comm == "sleep" })
	})
	if err := vm.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-under; !errors.Is(err, ErrRebooted) {
		t.Errorf("what ran during the reset ends with %v", err)
	}
	if after, err := vm.BootID(ctx); err != nil || after == before {
		t.Errorf("boot id %s before and %s after, %v", before, after, err)
	}
	resetOfADeadMachine(t, vm)
}

// resetOfADeadMachine: what kills QEMU in the middle of a reset, and an
// order to a QEMU that is no more, are told at once, with QEMU's last words.
func resetOfADeadMachine(t *testing.T, vm *VM) {
	t.Helper()
	if err := os.WriteFile(vm.dir.file("qemu.log"), []byte("assertion failed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { syscall.Kill(vm.Info().QEMUPID, syscall.SIGKILL) })
	for _, when := range []string{"dies of it", "is dead already"} {
		start := time.Now()
		err := vm.Reset(t.Context())
		if took := time.Since(start); took > 30*time.Second || !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "assertion failed") {
			t.Errorf("QEMU %s: %v after %v", when, err, took)
		}
	}
}
