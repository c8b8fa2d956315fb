// SPDX-License-Identifier: Apache-2.0

package auctionload

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lazystate/backdoor/uapi"
	"lazystate/bench/guest"
	"lazystate/bench/result"
	"lazystate/internal/netrig"
	"lazystate/tools/lab"
	"lazystate/tools/lab/armed"
	"lazystate/tools/testbed"
)

// Tiers are those whose first machine is to die.
type Tiers struct{ Front, Middle bool }

// Victims are virtual machines, in the place of the first front end, of the first
// middle tier, or of both. A machine dies once.
type Victims struct{ Front, Middle *testbed.Victim }

// Addresses of their own.
const (
	frontAddr  = "10.9.0.51"
	middleAddr = "10.9.0.52"
)

var key = uapi.Key{0x61, 0x75, 0x63, 0x74}

// allBoxes is room for the boxes of all clients, in the module's memory: 1.4 MiB each
// at a front end, of which few pages are ever touched.
const allBoxes = "boxes_mib=512"

// Boot boots them; files are further ones of the front end's.
func Boot(ctx context.Context, kernel string, t Tiers, files map[string]string) (v *Victims, err error) {
	v = &Victims{}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Close())
			v = nil
		}
	}()
	if t.Front {
		if v.Front, err = boot(ctx, "fe", frontAddr, kernel, files); err != nil {
			return v, err
		}
	}
	if t.Middle {
		v.Middle, err = boot(ctx, "mt", middleAddr, kernel, nil)
	}
	return v, err
}

func boot(ctx context.Context, name, addr, kernel string, files map[string]string) (*testbed.Victim, error) {
	vm, err := lab.Up(ctx, "bench-auction-"+name, lab.Config{
		Kernel: kernel, Net: fmt.Sprintf("bench-auction-%d", os.Getpid()), NICs: []lab.NIC{{Addr: addr + "/24"}}, Files: files,
	})
	if err != nil {
		return nil, err
	}
	v, err := testbed.Arm(ctx, vm, armed.Keys{0: key}, allBoxes)
	if err != nil {
		return nil, errors.Join(err, vm.Down())
	}
	return v, nil
}

func (v *Victims) front() *testbed.Victim {
	if v == nil {
		return nil
	}
	return v.Front
}

func (v *Victims) middle() *testbed.Victim {
	if v == nil {
		return nil
	}
	return v.Middle
}

func (v *Victims) all() (all []*testbed.Victim) {
	for _, one := range []*testbed.Victim{v.front(), v.middle()} {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}

// Tiers are those that they are of.
func (v *Victims) Tiers() Tiers { return Tiers{Front: v.front() != nil, Middle: v.middle() != nil} }

// Machine describes them, and the host.
func (v *Victims) Machine() result.Machine { return guest.MachineOf(v.all()[0].VM) }

// join has them on a bed's network, and the service's address at the front end.
func (v *Victims) join(ctx context.Context, wire func(func() error) error) error {
	if err := lab.Cable(v.all()[0].Config().Net, "br0", wire); err != nil { // they share one
		return err
	}
	if v.Front == nil {
		return nil
	}
	return v.Front.Addr(ctx, sharedPrefix())
}

// salvage is what the second front end's scd is told of the first.
func (v *Victims) salvage() []any {
	if v.front() == nil {
		return nil
	}
	return []any{map[string]any{"name": frontName, "url": "lab:" + v.Front.Name(), "device": netrig.Dev, "addresses": []string{sharedPrefix()}}}
}

const frontName = "fe1"

// Close takes them down.
func (v *Victims) Close() error {
	var err error
	for _, one := range v.all() {
		err = errors.Join(err, one.Down())
	}
	return err
}
