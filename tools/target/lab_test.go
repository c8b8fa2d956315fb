// SPDX-License-Identifier: Apache-2.0

package target

import (
	"errors"
	"os"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/tools/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m, 1)) }

// TestResetsAreSeen: whoever resets the machine, its old root is believed
// neither by who has it open, nor by who opens it now; the new one is.
func TestResetsAreSeen(t *testing.T) {
	lab.Need(t)
	vm := lab.New(t, lab.Config{Kernel: "6.12", VCPUs: 1}) // QEMU dies of no reset of one CPU
	load(t, vm)
	ctx := t.Context()
	for name, reset := range map[string]func(backdoor.Memory) error{
		"by its guest": func(backdoor.Memory) error {
			go vm.Start(ctx, lab.Proc{Argv: []string{"reboot", "-f"}}) // it may be gone before it has answered
			return vm.WaitBoot(ctx, 3*time.Minute)
		},
		"by the button, which the carrier presses": func(m backdoor.Memory) error { return m.(backdoor.Resetter).Reset(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			m, target := opened(t, vm)
			before := vm.Info().Resets()
			if err := reset(m); err != nil {
				t.Fatal(err)
			}
			if n := vm.Info().Resets(); n <= before { // its firmware may reset it once more
				t.Errorf("%d resets, were %d", n, before)
			}
			if err := target.Check(ctx); !errors.Is(err, backdoor.ErrReplaced) {
				t.Errorf("the machine that was open: %v", err)
			}
			if _, err := backdoor.Open(ctx, m); !errors.Is(err, backdoor.ErrReplaced) {
				t.Errorf("opened on the same memory: %v", err)
			}
			stranger := mapped(t, vm)
			if _, err := backdoor.Open(ctx, stranger); err == nil {
				t.Error("who comes now believes the old root")
			}
			load(t, vm)
			for _, m := range []backdoor.Memory{m, stranger} {
				if _, err := backdoor.Open(ctx, m); err != nil {
					t.Errorf("the new boot: %v", err)
				}
			}
		})
	}
}

func mapped(t *testing.T, vm *lab.VM) backdoor.Memory {
	t.Helper()
	m, err := Open(t.Context(), "lab:"+vm.Name(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func load(t *testing.T, vm *lab.VM, params ...string) {
	t.Helper()
	if err := vm.Insmod(t.Context(), lab.Module(t, vm, "backdoor"), append(params, "allow_repair=1")...); err != nil {
		t.Fatal(err)
	}
}

// opened opens the target as its writer.
func opened(t *testing.T, vm *lab.VM) (backdoor.Memory, *backdoor.Target) {
	t.Helper()
	m, err := Open(t.Context(), "lab:"+vm.Name(), Options{Writable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	target, err := backdoor.Open(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return m, target
}
