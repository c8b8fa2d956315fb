// SPDX-License-Identifier: Apache-2.0

package armed

import (
	"context"
	"errors"
	"strings"

	"lazystate/tools/lab"
)

// Breakable loads the module that breaks a machine (kmod/inject).
func Breakable(ctx context.Context, vm *lab.VM) error {
	ko, err := vm.ModuleFile("inject/bd_inject")
	if err != nil {
		return err
	}
	return vm.Insmod(ctx, ko, "i_am_a_lab=1")
}

// Break has a fault strike. It waits for nobody, for that may leave none who answers:
// what the fault does is to be looked for. The wait for the answer ends with ctx.
func Break(ctx context.Context, vm *lab.VM, fault string) {
	go func() { _ = vm.WriteFile(ctx, "/sys/module/bd_inject/parameters/trigger", []byte(fault), 0) }()
}

// NICInterrupts are what the interrupts of a machine's NIC are called, for lose_irq: its
// queues are the one device of the lab whose vectors are input and output by number.
func NICInterrupts(ctx context.Context, vm *lab.VM) (names []string, err error) {
	text, err := vm.ReadFile(ctx, "/proc/interrupts")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 0 && (strings.Contains(f[len(f)-1], "-input.") || strings.Contains(f[len(f)-1], "-output.")) {
			names = append(names, f[len(f)-1])
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no queues of a NIC in /proc/interrupts")
	}
	return names, nil
}
