// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Info describes a VM that is up.
type Info struct {
	Name     string `json:"name"`
	Kernel   string `json:"kernel"` // uname -r
	Package  string `json:"package"`
	MemMiB   int    `json:"mem_mib"`
	VCPUs    int    `json:"vcpus"`
	SwapMiB  int    `json:"swap_mib"`
	Accel    string `json:"accel"`
	Net      string `json:"net,omitempty"`
	OwnerPID int    `json:"owner_pid"`
	Owner    string `json:"owner"`
	QEMUPID  int    `json:"qemu_pid"`
	RAM      string `json:"ram"`
	BAR      string `json:"bar"`
}

func (d stateDir) info(r record) Info {
	i := Info{
		Name: r.Name, Kernel: r.Release, Package: r.Version, Accel: r.Accel,
		MemMiB: r.Config.MemMiB, VCPUs: r.Config.VCPUs, SwapMiB: r.Config.SwapMiB,
		OwnerPID: r.OwnerPID, Owner: r.Owner, QEMUPID: r.QEMUPID, RAM: d.ram(), BAR: d.bar(),
	}
	if len(r.Config.NICs) > 0 {
		i.Net = netnsPrefix + r.Config.Net
	}
	return i
}

// List returns the VMs that are up, and removes what is left of others.
func List() ([]Info, error) {
	var infos []Info
	err := locked(func() error {
		if err := sweep(); err != nil {
			return err
		}
		all, err := names()
		if err != nil {
			return err
		}
		for _, name := range all {
			if r, err := dirOf(name).read(); err == nil {
				infos = append(infos, dirOf(name).info(r))
			}
		}
		return nil
	})
	return infos, err
}

// Attach connects to a VM that another process owns.
func Attach(name string) (*VM, error) {
	if err := checkName("VM", name); err != nil {
		return nil, err
	}
	d := dirOf(name)
	r, err := d.read()
	if err != nil || !d.alive() {
		return nil, fmt.Errorf("%w: %s", ErrNoVM, name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := dialRetry(ctx, d.file("lab.sock"))
	if err != nil {
		return nil, fmt.Errorf("attach to %s (is it still booting?): %w", name, err)
	}
	vm := &VM{dir: d, record: r, ch: newChannel(conn)}
	// The proxy repeats this boot's Hello; a later one means a reboot.
	if err := vm.waitHello(ctx, vm.ch.firstHello()); err != nil {
		return nil, errors.Join(fmt.Errorf("attach to %s: %w", name, err), vm.ch.close())
	}
	return vm, nil
}

// Close detaches; a VM owned by this process goes down.
func (vm *VM) Close() error {
	if vm.owner != nil {
		return vm.Down()
	}
	return vm.ch.close()
}
