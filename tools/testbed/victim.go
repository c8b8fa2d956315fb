// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"fmt"
	"path"

	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
)

// Victim is a virtual machine whose kernel is to die under its servers (§3.9.2): with
// backdoor.ko, which has its sessions' boxes, and an scd, which keeps them.
type Victim struct {
	*lab.VM
	has map[string]bool // programs that were put there
}

// Where its servers find their keeper, and its operator the daemon.
const (
	VictimKeeper  = "/run/scd.sock"
	victimControl = "/run/scd-control"
)

// Arm makes a machine that has booted a victim, of monitors with these keys; params are
// further ones of the module. It returns when the daemon answers.
func Arm(ctx context.Context, vm *lab.VM, keys armed.Keys, params ...string) (*Victim, error) {
	v := &Victim{vm, map[string]bool{}}
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
		_, err = v.Launch(ctx, "lazystate/tools/scd", "--config", "/etc/scd.yaml")
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

// Launch starts one of our commands; the first time it is built and put there.
func (v *Victim) Launch(ctx context.Context, pkg string, args ...string) (pid int, err error) {
	name := path.Base(pkg)
	at := path.Join("/bin", name)
	if !v.has[name] {
		bin, err := lab.Program(ctx, name, pkg)
		if err != nil {
			return 0, err
		}
		if err := v.Put(ctx, bin, at); err != nil {
			return 0, err
		}
		v.has[name] = true
	}
	return v.Start(ctx, lab.Proc{Argv: append([]string{at}, args...), Log: "/tmp/" + name + ".log"})
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

// Addr gives it an address more.
func (v *Victim) Addr(ctx context.Context, cidr string) error {
	_, err := v.Must(ctx, "ip", "addr", "add", cidr, "dev", "eth0")
	return err
}
