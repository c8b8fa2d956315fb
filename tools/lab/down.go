// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"lazystate/internal/pause"
	"lazystate/tools/lab/wire"
)

// downBound is how long an owner may take to tear a VM down.
const downBound = time.Minute

// Down ends the VM and removes every trace of it. Attached, it asks the owner
// to and waits until that is done. It may be called more than once.
func (vm *VM) Down() error {
	if vm.owner == nil {
		return vm.askDown()
	}
	vm.owner.down.Do(func() { vm.owner.err = vm.tearDown() })
	return vm.owner.err
}

func (vm *VM) tearDown() error {
	o := vm.owner
	defer leave()
	if o.proxy != nil {
		o.proxy.close()
	}
	var err error
	if o.qemu != nil {
		if err = o.qemu.end(); errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
	}
	if vm.ch != nil {
		vm.ch.close()
	}
	defer o.locks.close()
	return locked(func() error {
		if len(vm.record.Config.NICs) > 0 {
			err = errors.Join(err, dropNet(vm.record))
		}
		return errors.Join(err, os.RemoveAll(filepath.Dir(vm.dir.ram())), os.RemoveAll(string(vm.dir)))
	})
}

// dropNet removes the namespace, or only this VM's TAPs while others use it.
func dropNet(r record) error {
	all, err := names()
	if err != nil {
		return err
	}
	for _, other := range all {
		o, err := dirOf(other).read()
		if err == nil && other != r.Name && o.Config.Net == r.Config.Net && dirOf(other).alive() {
			return removeTaps(r.Name, r.Config)
		}
	}
	err = deleteNetns(r.Config.Net)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (vm *VM) askDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), downBound)
	defer cancel()
	_, err := vm.ch.do(ctx, wire.Request{Op: wire.OpOwnDown}, nil, nil, nil)
	vm.ch.close()
	if err != nil && !errors.Is(err, ErrGone) {
		return fmt.Errorf("down %s: %w", vm.record.Name, err)
	}
	for vm.dir.alive() {
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("down %s: process %d (%s) did not end it in %v: %w",
				vm.record.Name, vm.record.OwnerPID, vm.record.Owner, downBound, err)
		}
	}
	return locked(func() error { return nil }) // the owner removes its traces under this lock
}

// Exited is closed when QEMU has ended; nil for an attached VM.
func (vm *VM) Exited() <-chan struct{} {
	if vm.owner == nil || vm.owner.qemu == nil {
		return nil
	}
	return vm.owner.qemu.exited
}

// lastWords are the ends of QEMU's and the guest's own output, for errors.
func (vm *VM) lastWords() string {
	var b strings.Builder
	for _, log := range []string{"qemu.log", "serial.log"} {
		text, err := os.ReadFile(vm.dir.file(log))
		if words := lastLines(string(text)); err == nil && words != "" {
			fmt.Fprintf(&b, "\n--- %s ---\n%s", log, words)
		}
	}
	return b.String()
}

// oops begins what a kernel says of a failure of its own. A call trace without this
// line does not tell what has happened.
var oops = regexp.MustCompile(`BUG: |kernel BUG at|Oops: |general protection fault|divide error`)

// lastLines of a log: twelve, or a kernel's report from its beginning.
func lastLines(log string) string {
	const few, most = 12, 100
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(log, "\r", "")), "\n")
	from := max(0, len(lines)-few)
	if at := slices.IndexFunc(lines, oops.MatchString); at >= 0 && at < from {
		lines, from = lines[:min(len(lines), at+most)], at
	}
	return strings.Join(lines[from:], "\n")
}
