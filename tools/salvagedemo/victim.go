// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lazystate/backdoor/uapi"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/tools/testbed"
)

const guestRoot = "/srv"

var key = uapi.Key{0x73, 0x61, 0x6c, 0x76}

// boot has a machine serve, at an address of its own: its kernel will panic.
func boot(ctx context.Context, kernel string, file []byte) (*testbed.Victim, error) {
	vm, err := lab.Up(ctx, fmt.Sprintf("salvage-demo-%d", os.Getpid()), lab.Config{Kernel: kernel, NICs: []lab.NIC{{Addr: "10.9.0.3/24"}}})
	if err != nil {
		return nil, err
	}
	v, err := testbed.Arm(ctx, vm, armed.Keys{0: key})
	if err == nil {
		err = v.WriteFile(ctx, guestRoot+"/file", file, 0o644)
	}
	if err == nil {
		_, err = v.Launch(ctx, "lazystate/examples/web", "--keeper", testbed.VictimKeeper, "--listen", fmt.Sprintf("0.0.0.0:%d", testbed.Port), "--root", guestRoot)
	}
	if err != nil {
		return nil, errors.Join(err, vm.Down())
	}
	return v, nil
}
