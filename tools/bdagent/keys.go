// SPDX-License-Identifier: Apache-2.0

package main

import (
	"lazystate/backdoor/uapi"
	"lazystate/internal/keyfile"
)

// rekey is for a machine that is set up already: a key has changed, or the
// module was loaded by something else.
func rekey(path string) error {
	d, err := openDevice()
	if err != nil {
		return err
	}
	defer d.Close()
	return giveKeys(d, path)
}

func giveKeys(d *device, path string) error {
	keys, err := keyfile.Slots(path, uapi.Monitors)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := d.setKey(k.Slot, k.Key); err != nil {
			return err
		}
	}
	return nil
}
