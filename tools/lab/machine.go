// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What follows is outside the guest: the ground truth of tests.

// Name, Release and the files by which other processes reach the machine.
func (vm *VM) Name() string    { return vm.record.Name }
func (vm *VM) Release() string { return vm.record.Release } // uname -r
func (vm *VM) Config() Config  { return vm.record.Config }
func (vm *VM) Info() Info      { return vm.dir.info(vm.record) }
func (vm *VM) RAMPath() string { return vm.dir.ram() }
func (vm *VM) BARPath() string { return vm.dir.bar() }

// Serial is the log of the guest's console.
func (vm *VM) Serial() string { return vm.dir.file("serial.log") }

// SerialSocket is the console itself: one client at a time.
func (vm *VM) SerialSocket() string { return vm.dir.file("serial.sock") }

// TAP is the host's end of the guest's i-th interface, inside Info().Net.
func (vm *VM) TAP(i int) string { return tapName(vm.record.Name, i) }

// MAC is the hardware address of the guest's i-th interface.
func (vm *VM) MAC(i int) string { return mac(vm.record.Name, i) }

// QMP runs a command of QEMU's machine protocol.
func (vm *VM) QMP(ctx context.Context, command string, args any) (json.RawMessage, error) {
	return qmp(ctx, vm.dir.file("qmp.sock"), command, args)
}

// Stop stops all vCPUs at once.
func (vm *VM) Stop(ctx context.Context) error { return vm.order(ctx, "stop") }

// Cont lets stopped vCPUs run.
func (vm *VM) Cont(ctx context.Context) error { return vm.order(ctx, "cont") }

func (vm *VM) order(ctx context.Context, command string) error {
	_, err := vm.QMP(ctx, command, nil)
	return err
}

// PMemSave reads guest-physical memory through QEMU, not through the RAM file.
func (vm *VM) PMemSave(ctx context.Context, addr, size uint64) ([]byte, error) {
	f, err := os.CreateTemp(string(vm.dir), "pmem-")
	if err != nil {
		return nil, err
	}
	f.Close()
	defer os.Remove(f.Name())
	args := map[string]any{"val": addr, "size": size, "filename": f.Name()}
	if _, err := vm.QMP(ctx, "pmemsave", args); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(f.Name())
	if err == nil && uint64(len(b)) != size {
		err = fmt.Errorf("pmemsave %#x: %d bytes of %d", addr, len(b), size)
	}
	return b, err
}

// Reset is the reset button: it returns when the new boot answers, or at once
// when QEMU dies of it.
func (vm *VM) Reset(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bootBound)
	defer cancel()
	ctx, done := vm.whileUp(ctx)
	defer done()
	hello := vm.ch.nextHello()
	err := vm.order(ctx, "system_reset")
	if err == nil {
		err = vm.waitHello(ctx, hello)
	}
	if err == nil {
		err = setPorts(ctx, vm.dir, vm.record, true) // CutPorts ends here
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	} else if err != nil && vm.endsWithin(time.Second) {
		err = fmt.Errorf("%w: %w", ErrGone, err) // its order was the first to notice
	}
	if err != nil {
		return fmt.Errorf("reset %s: %w%s", vm.record.Name, err, vm.lastWords())
	}
	return nil
}

func (vm *VM) endsWithin(bound time.Duration) bool {
	select {
	case <-vm.ch.ended:
		return true
	case <-time.After(bound):
		return false
	}
}

// WaitBoot waits for the guest's next boot, which something else causes.
func (vm *VM) WaitBoot(ctx context.Context, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	ctx, done := vm.whileUp(ctx)
	defer done()
	return vm.waitHello(ctx, vm.ch.nextHello())
}

// whileUp ends a context when the machine is gone: no boot will come, and
// nobody listens to an order any more.
func (vm *VM) whileUp(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-vm.ch.ended:
			cancel(ErrGone)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// BootID is the guest kernel's random id of this boot.
func (vm *VM) BootID(ctx context.Context) (string, error) {
	b, err := vm.ReadFile(ctx, "/proc/sys/kernel/random/boot_id")
	return string(b), err
}

// StateDir is the VM's folder: logs, sockets.
func (vm *VM) StateDir() string { return filepath.Clean(string(vm.dir)) }
