// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/goprogram"
	"lazystate/internal/syncbuf"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// TestLostMachineIsReset: both CPUs of one machine spin with interrupts off, which no
// hook cures; bdmon finds that out, resets the machine by its carrier, and it is
// another boot that answers. Meanwhile an operator looks into the other machine and
// acts on it with bdctl, and it is not taken for ill. (No lab.Main here: it would take
// the signals that other tests send to bdmon.)
func TestLostMachineIsReset(t *testing.T) {
	lab.Need(t)
	lost, well := newTarget(t, "6.1"), newTarget(t, "6.12")
	was, err := lost.BootID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{dir: t.TempDir(), stderr: &syncbuf.Buffer{}, code: make(chan int, 1)}
	if err := goprogram.Build(t.Context(), r.dir, "lazystate/tools/bdctl"); err != nil {
		t.Fatal(err)
	}
	r.write(t, "key", hex.EncodeToString(key[:]))
	r.write(t, "bdmon.yaml", fmt.Sprintf(`{socket: %[1]s/sock, metrics: "-", audit: %[1]s/audit.jsonl, targets: [
{name: lost, url: "lab:%[2]s", key_file: %[1]s/key, period: 10ms, reset: unrepairable, repair: {reset: {confirm: 2s, cool_down: 1s}}},
{name: well, url: "lab:%[3]s", key_file: %[1]s/key, period: 10ms, reset: unrepairable, repair: {reset: {confirm: 2s, cool_down: 1s}}}]}`, r.dir, lost.Name(), well.Name()))
	r.up(t, r.start(t))
	r.eventually(t, "both targets are well", func() bool { _, code := r.bdctl(t, "targets"); return code == 0 })
	// Its CPU spins: the write does not return.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	lost.WriteFile(ctx, "/sys/module/bd_inject/parameters/trigger", []byte("spin 0-1 0\n"), 0o200)
	r.operates(t, well)
	if err := lost.WaitBoot(t.Context(), 2*time.Minute); err != nil {
		t.Fatalf("%v\n%s\n%s", err, r.stderr, r.audit(t))
	}
	if now, err := lost.BootID(t.Context()); err != nil || now == was {
		t.Errorf("boot id %s, was %s: %v", now, was, err)
	}
	r.eventually(t, "the reset is in the audit log", func() bool { return strings.Contains(r.audit(t), `"data":{"reset":true`) })
	if log := r.audit(t); !strings.Contains(log, "TICKS.0, TICKS.1 stand still") || strings.Count(log, `"step":"reset"`) != 1 {
		t.Errorf("audit log:\n%s", log)
	}
	if n := well.Info().Resets(); n != 0 {
		t.Errorf("the machine that was well has been reset %d times", n)
	}
}

// newTarget is a machine that may be repaired and can be made ill.
func newTarget(t *testing.T, kernel string) *lab.VM {
	t.Helper()
	vm := lab.New(t, lab.Config{Kernel: kernel})
	for name, params := range map[string][]string{"backdoor": {"allow_repair=1"}, "inject/bd_inject": {"i_am_a_lab=1"}} {
		if err := vm.Insmod(t.Context(), lab.Module(t, vm, name), params...); err != nil {
			t.Fatal(err)
		}
	}
	if err := armed.GiveKeys(t.Context(), vm, armed.Keys{0: key}); err != nil {
		t.Fatal(err)
	}
	return vm
}

// bdctl runs the command against bdmon and returns all that it prints.
func (r *rig) bdctl(t *testing.T, args ...string) (text string, code int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), r.path("bdctl"), append([]string{"--socket", r.path("sock")}, args...)...)
	b, err := c.CombinedOutput()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), c.ProcessState.ExitCode()
}

// operates: what bdctl shows of a real machine is what the machine says of itself, and
// what it does is done there.
func (r *rig) operates(t *testing.T, vm *lab.VM) {
	t.Helper()
	victim, err := vm.Start(t.Context(), lab.Proc{Argv: []string{"/bin/busybox", "sleep", "600"}, UID: 4242})
	if err != nil {
		t.Fatal(err)
	}
	pid := fmt.Sprint(victim)
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"sensors", "well"}, "NPROCS", 0},
		{[]string{"regions", "well"}, "sensorbox", 0},
		{[]string{"manifest", "well"}, vm.Release(), 0},
		{[]string{"ps", "well"}, pid, 0},
		{[]string{"owners"}, "well", 0},
		{[]string{"lock", "--for", "1s", "well"}, "locked for 1s", 0},
		{[]string{"unlock", "well"}, "", 0},
		{[]string{"hooks", "well", "swappiness", "7"}, "swappiness: 7, was", 0},
		{[]string{"kill", "--start", "1", "well", pid}, uapi.ResultName(uapi.ResReused), 3},
		{[]string{"kill", "well", pid}, pid + ": " + uapi.ResultName(uapi.ResDone), 0},
		{[]string{"audit", "well"}, `"step":"kill"`, 0},
	} {
		if text, code := r.bdctl(t, c.args...); code != c.code || !strings.Contains(text, c.want) {
			t.Errorf("bdctl %s: exit %d, want %d and %q:\n%s", strings.Join(c.args, " "), code, c.code, c.want, text)
		}
	}
	if exit, err := vm.Wait(t.Context(), victim); err != nil || exit != 128+9 {
		t.Errorf("the victim's exit is %d: %v", exit, err)
	}
	if b, err := vm.ReadFile(t.Context(), "/proc/sys/vm/swappiness"); err != nil || strings.TrimSpace(string(b)) != "7" {
		t.Errorf("swappiness in the guest is %q: %v", b, err)
	}
}
