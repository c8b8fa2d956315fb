// SPDX-License-Identifier: Apache-2.0

package pkgtest

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/uapi"
	"lazystate/sensorbox"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

const keysFile = "/etc/lazystate/keys"

// machineOfUnits is one that runs programs as their units do, shared by the tests;
// modules-load.d and the operator have been there before a unit starts.
func machineOfUnits(t *testing.T, kernel string) *lab.VM {
	t.Helper()
	lab.Need(t)
	agent, err := lab.Program(t.Context(), "bdagent", "lazystate/tools/bdagent")
	if err != nil {
		t.Fatal(err)
	}
	vm := lab.Shared(t, lab.Config{Kernel: kernel, Files: map[string]string{
		"/usr/bin/bdagent": agent, "/usr/bin/setpriv": "/usr/bin/setpriv", "/usr/bin/prlimit": "/usr/bin/prlimit",
	}})
	if loaded, err := vm.Run(t.Context(), "test", "-d", "/sys/module/backdoor"); err != nil {
		t.Fatal(err)
	} else if loaded.Exit == 0 {
		return vm
	}
	if err := vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor"), "allow_repair=1"); err != nil {
		t.Fatal(err)
	}
	return vm
}

// TestBdagentAsItsUnitRunsIt: with what the unit leaves it, the agent gives the
// keys, finds every foreign word and beats; without any one of its privileges
// it does not, so none is idle and the wrapper does take them away. What a
// privilege is for is the same on both kernels: make soak asks the second.
func TestBdagentAsItsUnitRunsIt(t *testing.T) {
	u := readUnit(t, "bdagent")
	kernels := []string{"6.1", "6.12"}
	for _, kernel := range kernels[:lab.Count(1, len(kernels))] {
		t.Run(kernel, func(t *testing.T) {
			vm := machineOfUnits(t, kernel)
			if err := vm.WriteFile(t.Context(), keysFile, []byte("0 000102030405060708090a0b0c0d0e0f\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			loadedBefore(t, vm)
			everyPrivilegeCounts(t, vm, u)
			beats(t, vm, u)
		})
	}
}

// loadedBefore: who asks for repairs of a module that was loaded without them is told.
func loadedBefore(t *testing.T, vm *lab.VM) {
	t.Helper()
	const ko = "/tmp/backdoor.ko"
	if err := vm.Put(t.Context(), lab.Module(t, vm, "backdoor"), ko); err != nil {
		t.Fatal(err)
	}
	res, err := vm.Run(t.Context(), "/usr/bin/bdagent", "--module", ko, "--allow-fence", "--once")
	if want := `"allow_fence=1" does not count`; err != nil || res.Exit != 0 || !strings.Contains(res.Stderr, want) {
		t.Errorf("exit %d, %v: %q, want %q", res.Exit, err, res.Stderr, want)
	}
}

func everyPrivilegeCounts(t *testing.T, vm *lab.VM, u unit) {
	t.Helper()
	for _, c := range []struct {
		without unit
		says    string
	}{
		{u.with("LimitMEMLOCK", ""), "bdagent: lock memory: "},
		{u.with("LimitRTPRIO", ""), "bdagent: real-time class: "},
		{u.with("CapabilityBoundingSet", "CAP_SYSLOG"), "bdagent: set key of monitor 0: "},
		{u.with("CapabilityBoundingSet", "CAP_SYS_ADMIN").with("LimitMEMLOCK", ""), "does not tell where these lie: "},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		res, err := vm.Run(ctx, c.without.argv(strings.Fields(u["ExecStart"])...)...)
		cancel()
		if err != nil || res.Exit == 0 || !strings.Contains(res.Stderr, c.says) {
			t.Errorf("want %q: exit %d, %v\n%s", c.says, res.Exit, err, res.Stderr)
		}
	}
}

// beats runs the unit's own command line, and looks from outside.
func beats(t *testing.T, vm *lab.VM, u unit) {
	t.Helper()
	const log = "/tmp/bdagent.log"
	pid, err := vm.Start(t.Context(), lab.Proc{
		Argv: u.argv(strings.Fields(u["ExecStart"])...), OOMAdj: u.number(t, "OOMScoreAdjust"), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vm.Kill(context.Background(), -pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
	mem, target, err := armed.Open(t.Context(), vm, false)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var first uint64
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		n, ok := heartbeat(t, target)
		if first == 0 {
			first = n
		}
		if ok && n > first+5 {
			break
		}
		if time.Now().After(end) {
			text, _ := vm.ReadFile(t.Context(), log)
			t.Fatalf("no heartbeat: %d, %v\n%s", n, ok, text)
		}
	}
	text, err := vm.ReadFile(t.Context(), log)
	if err != nil || strings.Contains(string(text), "note:") || strings.Contains(string(text), "bdagent:") {
		t.Errorf("%v\n%s", err, text)
	}
}

// heartbeat is its value, and whether it has an owner.
func heartbeat(t *testing.T, target *backdoor.Target) (uint64, bool) {
	t.Helper()
	var raw [2][]byte
	for i, kind := range []uint32{uapi.KindSensorbox, uapi.KindUserSensors} {
		r, err := target.Region(kind)
		if err != nil {
			t.Fatal(err)
		}
		raw[i] = make([]byte, r.Len)
		if err := target.Do(t.Context(), r.Read(0, raw[i])); err != nil {
			t.Fatal(err)
		}
	}
	var v sensorbox.View
	if err := v.Decode(raw[0], raw[1]); err != nil {
		t.Fatal(err)
	}
	for _, s := range v.Sensors {
		if s.Flags&sensorbox.Heartbeat != 0 {
			return s.Value, s.Flags&sensorbox.Orphaned == 0
		}
	}
	return 0, false
}
