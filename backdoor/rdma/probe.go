// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"fmt"
	"net"

	"lazystate/verbs/driver"
)

// Probe implements backdoor.Prober: the state of the device's port, and whether
// its network interface has a carrier (§3.4.2).
func (m *Memory) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	port, err := m.o.Device.Port(1)
	if err != nil {
		return err
	}
	if port.State != driver.PortActive {
		return fmt.Errorf("port 1 of %s is %s", m.o.Device.Attr().Name, port.State)
	}
	if port.Netdev == "" {
		return nil
	}
	// By the network, not by /sys: that may be of another network namespace.
	i, err := net.InterfaceByName(port.Netdev)
	if err != nil {
		return fmt.Errorf("interface %s: %w", port.Netdev, err)
	}
	if want := net.FlagUp | net.FlagRunning; i.Flags&want != want {
		return fmt.Errorf("%s has no carrier: it is %s", port.Netdev, i.Flags)
	}
	return nil
}
