// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/internal/goprogram"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// TestLostMachineIsReset: an operator looks into a real machine and acts on it with bdctl.
// Then both of its CPUs spin with interrupts off, which no hook cures; bdmon finds that
// out, resets the machine by its carrier, and it is another boot that answers. Another
// target of the same bdmon stays in its care meanwhile, and is not taken for ill. (No
// lab.Main here: it would take the signals that other tests send to bdmon.)
func TestLostMachineIsReset(t *testing.T) {
	lab.Need(t)
	vm := newTarget(t, "6.1")
	was, err := vm.BootID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t) // which is the other target
	if err := goprogram.Build(t.Context(), r.dir, "lazystate/tools/bdctl"); err != nil {
		t.Fatal(err)
	}
	r.write(t, "bdmon.yaml", fmt.Sprintf(`{socket: %[1]s/sock, metrics: "-", audit: %[1]s/audit.jsonl, targets: [
{name: real, url: "lab:%[2]s", key_file: %[1]s/key, period: 10ms, reset: unrepairable, repair: {reset: {confirm: 2s, cool_down: 1s}}},
{name: other, url: "inic://%[1]s/ram", key_file: %[1]s/key, period: 20ms}]}`, r.dir, vm.Name()))
	r.up(t, r.start(t))
	for _, all := range []string{"targets", "owners"} {
		r.eventually(t, "both are well and owned", func() bool { _, code := r.bdctl(t, all); return code == 0 })
	}
	r.operates(t, vm)
	// Its CPU spins: the write does not return.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	vm.WriteFile(ctx, "/sys/module/bd_inject/parameters/trigger", []byte("spin 0-1 0\n"), 0o200)
	r.bdctls(t, bdctlCase{[]string{"lock", "--for", "30s", "other"}, "locked for 30s", 0}, bdctlCase{[]string{"unlock", "other"}, "", 0})
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
	if text, _ := r.bdctl(t, "targets", "--json"); !regexp.MustCompile(`"name":\s*"other"[^}]*"verdict":\s*"ok"`).MatchString(text) {
		t.Errorf("the other target:\n%s", text)
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

// bdctlCase is a command of bdctl, what it prints among other things, and its exit code.
type bdctlCase struct {
	args []string
	want string
	code int
}

func (r *rig) bdctls(t *testing.T, cases ...bdctlCase) {
	t.Helper()
	for _, c := range cases {
		if text, code := r.bdctl(t, c.args...); code != c.code || !strings.Contains(text, c.want) {
			t.Errorf("bdctl %s: exit %d, want %d and %q:\n%s", strings.Join(c.args, " "), code, c.code, c.want, text)
		}
	}
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
	r.bdctls(t,
		bdctlCase{[]string{"sensors", "real"}, "NPROCS", 0},
		bdctlCase{[]string{"regions", "real"}, "sensorbox", 0},
		bdctlCase{[]string{"manifest", "real"}, vm.Release(), 0},
		bdctlCase{[]string{"ps", "real"}, pid, 0},
		bdctlCase{[]string{"lock", "--for", "30s", "real"}, "locked for 30s", 0},
		bdctlCase{[]string{"unlock", "real"}, "", 0},
		bdctlCase{[]string{"hooks", "real", "swappiness", "7"}, "swappiness: 7, was", 0},
		bdctlCase{[]string{"kill", "--start", "1", "real", pid}, uapi.ResultName(uapi.ResReused), 3},
		bdctlCase{[]string{"kill", "real", pid}, pid + ": " + uapi.ResultName(uapi.ResDone), 0},
		bdctlCase{[]string{"audit", "real"}, `"step":"kill"`, 0},
	)
	if exit, err := vm.Wait(t.Context(), victim); err != nil || exit != 128+9 {
		t.Errorf("the victim's exit is %d: %v", exit, err)
	}
	if b, err := vm.ReadFile(t.Context(), "/proc/sys/vm/swappiness"); err != nil || strings.TrimSpace(string(b)) != "7" {
		t.Errorf("swappiness in the guest is %q: %v", b, err)
	}
}
