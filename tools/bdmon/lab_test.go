// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"lazystate/internal/syncbuf"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// TestLostMachineIsReset: both CPUs spin with interrupts off, which no hook
// cures; bdmon finds that out, resets the machine by its carrier, and it is
// another boot that answers. (No lab.Main here: it would take the signals that
// other tests send to bdmon.)
func TestLostMachineIsReset(t *testing.T) {
	lab.Need(t)
	vm := lab.New(t, lab.Config{Kernel: "6.1"})
	was, err := vm.BootID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, params := range map[string][]string{"backdoor": {"allow_repair=1"}, "inject/bd_inject": {"i_am_a_lab=1"}} {
		if err := vm.Insmod(t.Context(), lab.Module(t, vm, name), params...); err != nil {
			t.Fatal(err)
		}
	}
	if err := armed.GiveKeys(t.Context(), vm, armed.Keys{0: key}); err != nil {
		t.Fatal(err)
	}
	r := &rig{dir: t.TempDir(), stderr: &syncbuf.Buffer{}, code: make(chan int, 1)}
	r.write(t, "key", hex.EncodeToString(key[:]))
	r.write(t, "bdmon.yaml", fmt.Sprintf(`{socket: %[1]s/sock, metrics: "-", audit: %[1]s/audit.jsonl, targets: [
{name: t1, url: "lab:%[2]s", key_file: %[1]s/key, period: 10ms, reset: unrepairable, repair: {reset: {confirm: 2s, cool_down: 1s}}}]}`, r.dir, vm.Name()))
	r.up(t, r.start(t))
	// Its CPU spins: the write does not return.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	vm.WriteFile(ctx, "/sys/module/bd_inject/parameters/trigger", []byte("spin 0-1 0\n"), 0o200)
	if err := vm.WaitBoot(t.Context(), 2*time.Minute); err != nil {
		t.Fatalf("%v\n%s\n%s", err, r.stderr, r.audit(t))
	}
	if now, err := vm.BootID(t.Context()); err != nil || now == was {
		t.Errorf("boot id %s, was %s: %v", now, was, err)
	}
	r.eventually(t, "the reset is in the audit log", func() bool { return strings.Contains(r.audit(t), `"data":{"reset":true`) })
	if log := r.audit(t); !strings.Contains(log, "TICKS.0, TICKS.1 stand still") || strings.Count(log, `"step":"reset"`) != 1 {
		t.Errorf("audit log:\n%s", log)
	}
}
