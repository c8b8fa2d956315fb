// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/inic"
	"lazystate/backdoor/uapi"
	"lazystate/bench/result"
	"lazystate/bench/trial"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// Config is what a bench wants of its VM.
type Config struct {
	Name   string     // of the VM: bench-<Name>
	Lab    lab.Config // Kernel comes from the options
	Params []string   // of backdoor.ko; nil: allow_repair=1
	Bare   bool       // without the module: Target is nil until Load
	Reader bool       // opened for reading: another process, or Writing, writes
}

// Guest is a target VM of a bench.
type Guest struct {
	VM     *lab.VM
	Target *backdoor.Target
	Memory *inic.Memory
	Key    uapi.Key // after GiveKey
	reader bool
}

// Boot boots the VM and loads the module.
func Boot(ctx context.Context, o *trial.Options, c Config) (*Guest, error) {
	c.Lab.Kernel = o.Kernel
	o.Logf("booting %s with Linux %s", c.Name, o.Kernel)
	vm, err := lab.Up(ctx, "bench-"+c.Name, c.Lab)
	if err != nil {
		return nil, err
	}
	g := &Guest{VM: vm, reader: c.Reader}
	o.Logf("up: Linux %s, %s", vm.Release(), vm.Info().Accel)
	if c.Bare {
		return g, nil
	}
	if c.Params == nil {
		c.Params = []string{"allow_repair=1"}
	}
	if err := g.Load(ctx, c.Params...); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Load inserts backdoor.ko and opens the target.
func (g *Guest) Load(ctx context.Context, params ...string) error {
	ko, err := g.VM.ModuleFile("backdoor")
	if err != nil {
		return err
	}
	if err := g.VM.Insmod(ctx, ko, params...); err != nil {
		return fmt.Errorf("load backdoor.ko: %w", err)
	}
	g.Memory, g.Target, err = armed.Open(ctx, g.VM, !g.reader)
	return err
}

// Unload closes the target and removes the module.
func (g *Guest) Unload(ctx context.Context) error {
	err := g.Memory.Close()
	g.Memory, g.Target = nil, nil
	return errors.Join(err, g.VM.Rmmod(ctx, "backdoor"))
}

// Machine describes host and guest.
func (g *Guest) Machine() result.Machine { return MachineOf(g.VM) }

// MachineOf describes host and guest of any machine of the lab.
func MachineOf(vm *lab.VM) result.Machine {
	m, i := result.Host(), vm.Info()
	m.VM()
	m.Accel, m.GuestKernel, m.GuestPackage = i.Accel, i.Kernel, i.Package
	m.GuestCPUs, m.GuestMemMiB, m.GuestSwap = i.VCPUs, i.MemMiB, i.SwapMiB
	return m
}

// Close takes the machine down.
func (g *Guest) Close() error {
	var err error
	if g.Memory != nil {
		err = g.Memory.Close()
	}
	return errors.Join(err, g.VM.Down())
}

// Stop kills a process of VM.Start with its whole group. A process that has
// ended is no error: it is what was wanted.
func (g *Guest) Stop(pid int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := g.VM.Kill(ctx, -pid, syscall.SIGKILL); err == nil {
		g.VM.Wait(ctx, pid)
	}
}
