// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tuning is what a carrier in software needs of the machine it runs on (the
// I-NIC and a real RNIC need nothing): the interface's interrupts, the connection
// manager's workers, and on newer kernels those of rxe, on the one CPU that the
// repair lock can leave free. What was there before is kept in a file until it is put back, so that an
// agent that was killed can be followed by another, or by --untune.
type tuning struct {
	root  string // "/" but in tests
	state string
}

// tuned is where an agent keeps what it has changed.
var tuned = tuning{root: "/", state: "/run/lazystate/bdagent.tuned"}

const (
	nicCPU     = "sys/module/backdoor/parameters/nic_cpu"
	moveIRQ    = "sys/module/backdoor/parameters/move_irq"
	pinWorkers = "sys/module/backdoor/parameters/pin_workers"
	workqueues = "sys/devices/virtual/workqueue/cpumask"
	release    = "proc/sys/kernel/osrelease"
)

func (t tuning) path(p string) string { return filepath.Join(t.root, p) }

// apply sets an interface up; empty: nothing is to be done. What a kernel cannot do
// is told in notes.
func (t tuning) apply(nic string, notes io.Writer) error {
	if nic == "" {
		return nil
	}
	mask, err := t.nicMask()
	if err != nil {
		return err
	}
	if err := t.moveVectors(nic, mask, notes); err != nil {
		return fmt.Errorf("interrupts of %s: %w", nic, err)
	}
	rxe, err := t.hasRXE(nic)
	if err != nil || !rxe {
		return err
	}
	if err := t.moveWorkers(mask); err != nil {
		return fmt.Errorf("workers of %s: %w", nic, err)
	}
	return nil
}

// moveWorkers moves the kernel's workers that belong to no CPU: by their mask, and
// by the module those that keep to none.
func (t tuning) moveWorkers(mask string) error {
	workers, err := t.rxeHasWorkers()
	if err != nil {
		return err
	}
	if workers {
		if err := t.set(workqueues, mask); err != nil {
			return err
		}
	}
	return t.set(pinWorkers, "Y")
}

// nicMask is the module's CPU for the NIC as the kernel writes masks.
func (t tuning) nicMask() (string, error) {
	b, err := os.ReadFile(t.path(nicCPU))
	if err != nil {
		return "", fmt.Errorf("the module's NIC CPU: %w", err)
	}
	cpu, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 12)
	if err != nil {
		return "", fmt.Errorf("the module's NIC CPU: %w", err)
	}
	mask := strconv.FormatUint(1<<(cpu%32), 16)
	return mask + strings.Repeat(",00000000", int(cpu/32)), nil
}

// moveVectors moves an interface's interrupts. Where the kernel would do so only
// when one next strikes, the module makes it strike: under a lock the CPU that it
// leaves may be held.
func (t tuning) moveVectors(nic, mask string, notes io.Writer) error {
	all, err := t.vectors(nic)
	if err != nil {
		return err
	}
	for _, v := range all {
		err := t.set("proc/irq/"+v+"/smp_affinity", mask)
		if errors.Is(err, unix.EIO) {
			continue // the kernel keeps this vector where it is
		}
		if err != nil {
			return err
		}
		err = os.WriteFile(t.path(moveIRQ), []byte(v), 0)
		// A kernel without CONFIG_GENERIC_IRQ_INJECTION; or the CPU that it leaves is held now.
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EBUSY) {
			fmt.Fprintf(notes, "note: interrupt %s of %s moves when it next strikes: %v\n", v, nic, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("move %s: %w", v, err)
		}
	}
	return nil
}

// vectors are the numbers of an interface's interrupts.
func (t tuning) vectors(nic string) ([]string, error) {
	device, err := filepath.EvalSymlinks(t.path("sys/class/net/" + nic + "/device"))
	if err != nil {
		return nil, err
	}
	var numbers []string
	for _, dir := range []string{device, filepath.Dir(device)} { // virtio: the PCI function above has them
		all, err := filepath.Glob(filepath.Join(dir, "msi_irqs", "*"))
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			numbers = append(numbers, filepath.Base(v))
		}
		if len(numbers) > 0 {
			break
		}
	}
	return numbers, nil
}

// hasRXE: is there an RDMA device in software on the interface.
func (t tuning) hasRXE(nic string) (bool, error) {
	parents, err := filepath.Glob(t.path("sys/class/infiniband/*/parent"))
	if err != nil {
		return false, err
	}
	on := false
	for _, p := range parents {
		b, err := os.ReadFile(p)
		on = on || err == nil && string(bytes.TrimSpace(b)) == nic
	}
	return on, nil
}

// rxeHasWorkers: from 6.4 on rxe answers in unbound workers, before in tasklets
// of the CPU that took the interrupt.
func (t tuning) rxeHasWorkers() (bool, error) {
	b, err := os.ReadFile(t.path(release))
	if err != nil {
		return false, fmt.Errorf("kernel release: %w", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(b), "%d.%d", &major, &minor); err != nil {
		return false, fmt.Errorf("kernel release %q: %w", b, err)
	}
	return major > 6 || major == 6 && minor >= 4, nil
}

// set writes a file and keeps what was in it, unless that is known already.
func (t tuning) set(file, value string) error {
	old, err := os.ReadFile(t.path(file))
	if err != nil {
		return err
	}
	kept, err := t.kept()
	if err != nil {
		return err
	}
	if _, known := kept[file]; !known {
		if err := t.keep(file, string(bytes.TrimSpace(old))); err != nil {
			return err
		}
	}
	return os.WriteFile(t.path(file), []byte(value), 0)
}

func (t tuning) keep(file, value string) error {
	if err := os.MkdirAll(filepath.Dir(t.state), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(t.state, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, file, value)
	return errors.Join(err, f.Close())
}

// kept are the files that were changed and what was in them.
func (t tuning) kept() (map[string]string, error) {
	b, err := os.ReadFile(t.state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if file, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			all[file] = value
		}
	}
	return all, nil
}

// undo puts everything back. A vector whose device has gone is forgotten.
func (t tuning) undo() error {
	kept, err := t.kept()
	if err != nil || kept == nil {
		return err
	}
	var errs []error
	for file, value := range kept {
		err := os.WriteFile(t.path(file), []byte(value), 0)
		if err != nil && !errors.Is(err, unix.EIO) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("put back %s: %w", file, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return os.Remove(t.state)
}
