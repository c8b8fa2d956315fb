// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A KVM under which no guest boots is no KVM: QEMU that hangs is waited for no longer
// than the bound, and is gone then; one that fails is an answer at once.
func TestProbeThatDoesNotBoot(t *testing.T) {
	Need(t)
	path := os.Getenv("PATH")
	for name, c := range map[string]struct {
		qemu  string
		bound time.Duration
	}{
		"hangs": {"#!/bin/sh\necho $$ >\"$0.pid\"\nexec sleep 600\n", 5 * time.Second},
		"fails": {"#!/bin/sh\necho $$ >\"$0.pid\"\nexit 1\n", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, qemuCommand), []byte(c.qemu), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+path)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := probeKVM(ctx, c.bound); err == nil || ctx.Err() != nil {
				t.Errorf("the probe says %v; %v", err, ctx.Err())
			}
			pid, err := os.ReadFile(filepath.Join(dir, qemuCommand+".pid"))
			if _, gone := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err != nil || len(pid) == 0 || !errors.Is(gone, os.ErrNotExist) {
				t.Errorf("QEMU %q was run: %v; and is gone: %v", pid, err, gone)
			}
		})
	}
}
