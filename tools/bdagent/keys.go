// SPDX-License-Identifier: Apache-2.0

package main

import (
	"lazystate/backdoor/uapi"
	"lazystate/internal/cli"
	"lazystate/internal/keyfile"
)

// rekey is for a machine that is set up already: a key has changed, or the
// module was loaded by something else.
func rekey(o options) error {
	d, err := openDevice()
	if err != nil {
		return err
	}
	defer d.Close()
	return giveKeys(d, o)
}

// giveKeys gives keys and policy, which the module may have already: only what
// is new to it ends connections. The policy comes first, so that no monitor is
// let in for a moment with more than it may have.
func giveKeys(d *device, o options) error {
	p := &policy{}
	if o.policy != "" {
		var err error
		if p, err = readPolicy(o.policy); err != nil {
			return err
		}
	}
	seal := p.seal
	p.seal = false // a sealed module takes no keys
	if err := p.apply(d); err != nil {
		return err
	}
	if o.keys != "" {
		keys, err := keyfile.Slots(o.keys, uapi.Monitors)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := d.setKey(k.Slot, k.Key); err != nil {
				return err
			}
		}
	}
	return (&policy{seal: seal}).apply(d)
}

// revoke takes a monitor's key away; its connections end.
func revoke(slot string) error {
	n, err := slotNumber(slot)
	if err != nil {
		return cli.Usagef("--revoke %v", err)
	}
	d, err := openDevice()
	if err != nil {
		return err
	}
	defer d.Close()
	return d.revokeKey(n)
}
