// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"errors"
	"fmt"
	"path"

	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// Victim is a virtual machine whose kernel is to die under its servers (§3.9.2): with
// backdoor.ko, which has its sessions' boxes, and an scd, which keeps them.
type Victim struct{ *lab.VM }

// Where its servers find their keeper, and its operator the daemon.
const (
	VictimKeeper  = "/run/scd.sock"
	victimControl = "/run/scd-control"
)

// Arm makes a machine that has booted a victim, of monitors with these keys; params are
// further ones of the module. It returns when the daemon answers.
func Arm(ctx context.Context, vm *lab.VM, keys armed.Keys, params ...string) (*Victim, error) {
	v := &Victim{vm}
	ko, err := v.ModuleFile("backdoor")
	if err == nil {
		err = v.Insmod(ctx, ko, append([]string{"allow_fence=1"}, params...)...)
	}
	if err == nil {
		err = armed.GiveKeys(ctx, v.VM, keys)
	}
	const cfg = `{"servers": "` + VictimKeeper + `", "socket": "` + victimControl + `", "metrics": "-", "journal": "/run/scd-moves"}`
	if err == nil {
		err = v.WriteFile(ctx, "/etc/scd.yaml", []byte(cfg), 0o600)
	}
	if err == nil {
		err = v.Launch(ctx, "lazystate/tools/scd", "--config", "/etc/scd.yaml")
	}
	if err == nil {
		err = v.await(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("arm %s: %w", vm.Name(), err)
	}
	return v, nil
}

func (v *Victim) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return Await(ctx, "the machine's scd", func() bool {
		r, err := v.Run(ctx, "/bin/scd", "ls", "--socket", victimControl)
		return err == nil && r.Exit == 0
	})
}

// Launch builds one of our commands, puts it there and starts it.
func (v *Victim) Launch(ctx context.Context, pkg string, args ...string) error {
	name := path.Base(pkg)
	bin, err := lab.Program(ctx, name, pkg)
	if err != nil {
		return err
	}
	at := path.Join("/bin", name)
	if err := v.Put(ctx, bin, at); err != nil {
		return err
	}
	_, err = v.Start(ctx, lab.Proc{Argv: append([]string{at}, args...), Log: "/tmp/" + name + ".log"})
	return err
}

// Outlive waits until so many boxes lie in memory that outlives the kernel.
func (v *Victim) Outlive(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return Await(ctx, "a box of each session in the module's memory", func() bool {
		out, err := v.Must(ctx, "cat", "/sys/kernel/backdoor/boxes")
		var boxes int
		_, scan := fmt.Sscanf(out, "boxes %d", &boxes)
		return err == nil && scan == nil && boxes == n
	})
}

// Panic tells its kernel to. It may be dead before it has answered.
func (v *Victim) Panic(ctx context.Context) {
	go v.Start(ctx, lab.Proc{Argv: []string{"/bin/sh", "-c", "echo c >/proc/sysrq-trigger"}})
}

// Joins has it on the network whose bridge br0 wire has, with further addresses.
func (v *Victim) Joins(ctx context.Context, wire func(func() error) error, addrs ...string) error {
	err := lab.Cable(v.Config().Net, "br0", wire)
	for _, a := range addrs {
		_, e := v.Must(ctx, "ip", "addr", "add", a, "dev", "eth0")
		err = errors.Join(err, e)
	}
	return err
}
