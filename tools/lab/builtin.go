// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"

	"lazystate/tools/lab/wire"
)

// What follows needs no fork in the guest and works with a full process table.

// Ping returns when the guest answered.
func (vm *VM) Ping(ctx context.Context) error { return vm.builtIn(ctx, wire.Request{Op: wire.OpPing}) }

// Status returns the guest's clock, load and free memory.
func (vm *VM) Status(ctx context.Context) (Status, error) {
	r, err := vm.ask(ctx, answerBound, wire.Request{Op: wire.OpStatus}, nil, nil)
	if err != nil {
		return Status{}, err
	}
	return *r.Status, nil
}

// Process is a line of the guest's own process list.
type Process struct {
	PID, PPID, UID int
	State          string
	Comm           string
}

// PS lists the guest's processes, kernel threads too.
func (vm *VM) PS(ctx context.Context) ([]Process, error) {
	text, err := vm.text(ctx, wire.Request{Op: wire.OpPS})
	if err != nil {
		return nil, err
	}
	var all []Process
	for sc := bufio.NewScanner(strings.NewReader(text)); sc.Scan(); {
		var p Process
		var comm string
		if _, err := fmt.Sscanf(sc.Text(), "%d %d %d %s %q", &p.PID, &p.PPID, &p.UID, &p.State, &comm); err != nil {
			return nil, fmt.Errorf("ps: line %q: %w", sc.Text(), err)
		}
		p.Comm = comm
		all = append(all, p)
	}
	return all, nil
}

// ReadDir lists the names in a folder of the guest.
func (vm *VM) ReadDir(ctx context.Context, path string) ([]string, error) {
	text, err := vm.text(ctx, wire.Request{Op: wire.OpList, Path: path})
	return strings.Fields(text), err
}

// Mount mounts in the guest.
func (vm *VM) Mount(ctx context.Context, source, target, fstype, options string) error {
	return vm.builtIn(ctx, wire.Request{Op: wire.OpMount, Argv: []string{source, target, fstype, options}})
}

// Sysctl sets a kernel parameter by its dotted name.
func (vm *VM) Sysctl(ctx context.Context, key, value string) error {
	return vm.WriteFile(ctx, "/proc/sys/"+strings.ReplaceAll(key, ".", "/"), []byte(value), 0)
}

// Symbol returns an address from the guest's /proc/kallsyms.
func (vm *VM) Symbol(ctx context.Context, name string) (uint64, error) {
	b, err := vm.ReadFile(ctx, "/proc/kallsyms")
	if err != nil {
		return 0, err
	}
	for sc := bufio.NewScanner(strings.NewReader(string(b))); sc.Scan(); {
		f := strings.Fields(sc.Text())
		if len(f) >= 3 && f[2] == name {
			return strconv.ParseUint(f[0], 16, 64)
		}
	}
	return 0, fmt.Errorf("the guest's kernel has no symbol %s", name)
}
