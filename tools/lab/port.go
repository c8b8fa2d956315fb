// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
)

// CutPorts takes a machine off its networks: no frame comes or goes any more, also
// of those that lie in its rings, whether its vCPUs run or stand and whatever its
// guest says. The next Reset puts it back.
func CutPorts(ctx context.Context, name string) error {
	if err := checkName("VM", name); err != nil {
		return err
	}
	r, err := dirOf(name).read()
	if err != nil {
		return fmt.Errorf("%w: %s", ErrNoVM, name)
	}
	return setPorts(ctx, dirOf(name), r, false)
}

// setPorts plugs or unplugs QEMU's own end of each link.
func setPorts(ctx context.Context, d stateDir, r record, up bool) error {
	var errs []error
	for i := range r.Config.NICs {
		_, err := qmp(ctx, d.file("qmp.sock"), "set_link", map[string]any{"name": netdev(i), "up": up})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// netdev names the back end of a NIC to QEMU.
func netdev(i int) string { return fmt.Sprintf("n%d", i) }
