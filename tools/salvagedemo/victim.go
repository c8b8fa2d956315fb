// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/tools/testbed"
)

// victim is the machine whose kernel will panic.
type victim struct{ *lab.VM }

const (
	guestRoot   = "/srv"
	guestKeeper = "/run/scd.sock"
)

var key = uapi.Key{0x73, 0x61, 0x6c, 0x76}

// boot has it serve, at an address of its own.
func boot(ctx context.Context, kernel string, file []byte) (*victim, error) {
	vm, err := lab.Up(ctx, fmt.Sprintf("salvage-demo-%d", os.Getpid()), lab.Config{Kernel: kernel, NICs: []lab.NIC{{Addr: "10.9.0.3/24"}}})
	if err != nil {
		return nil, err
	}
	v := &victim{vm}
	if err := v.serve(ctx, file); err != nil {
		return nil, errors.Join(err, vm.Down())
	}
	return v, nil
}

func (v *victim) serve(ctx context.Context, file []byte) error {
	ko, err := v.ModuleFile("backdoor")
	if err == nil {
		err = v.Insmod(ctx, ko, "allow_fence=1")
	}
	if err == nil {
		err = armed.GiveKeys(ctx, v.VM, armed.Keys{0: key})
	}
	for _, p := range [][2]string{{"scd", "lazystate/tools/scd"}, {"web", "lazystate/examples/web"}} {
		var bin string
		if err == nil {
			bin, err = lab.Program(ctx, p[0], p[1])
		}
		if err == nil {
			err = v.Put(ctx, bin, "/bin/"+p[0])
		}
	}
	const cfg = `{"servers": "` + guestKeeper + `", "socket": "/run/scd-control", "metrics": "-", "journal": "/run/scd-moves"}`
	if err == nil {
		err = errors.Join(v.WriteFile(ctx, "/etc/scd.yaml", []byte(cfg), 0o600), v.WriteFile(ctx, guestRoot+"/file", file, 0o644))
	}
	if err == nil {
		_, err = v.Start(ctx, lab.Proc{Argv: []string{"/bin/scd", "--config", "/etc/scd.yaml"}, Log: "/tmp/scd.log"})
	}
	if err == nil {
		err = testbed.Await(ctx, "the machine's scd", func() bool {
			r, err := v.Run(ctx, "/bin/scd", "ls", "--socket", "/run/scd-control")
			return err == nil && r.Exit == 0
		})
	}
	if err == nil {
		listen := fmt.Sprintf("0.0.0.0:%d", testbed.Port)
		_, err = v.Start(ctx, lab.Proc{Argv: []string{"/bin/web", "--keeper", guestKeeper, "--listen", listen, "--root", guestRoot}, Log: "/tmp/web.log"})
	}
	return err
}

// outlive waits until both sessions lie in memory that outlives the kernel.
func (v *victim) outlive(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return testbed.Await(ctx, "a box of each session in the module's memory", func() bool {
		out, err := v.Must(ctx, "cat", "/sys/kernel/backdoor/boxes")
		var boxes int
		_, scan := fmt.Sscanf(out, "boxes %d", &boxes)
		return err == nil && scan == nil && boxes == n
	})
}

// panics tells it to, and when that was. It may be dead before it has answered.
func (v *victim) panics(ctx context.Context) time.Time {
	at := time.Now()
	go v.Start(ctx, lab.Proc{Argv: []string{"/bin/sh", "-c", "echo c >/proc/sysrq-trigger"}})
	return at
}
