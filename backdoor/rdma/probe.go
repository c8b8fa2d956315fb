// SPDX-License-Identifier: Apache-2.0

package rdma

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	// Reading the file fails (EINVAL) while the interface is down.
	b, err := os.ReadFile(filepath.Join("/sys/class/net", port.Netdev, "carrier"))
	if err != nil {
		return fmt.Errorf("carrier of %s: %w", port.Netdev, err)
	}
	if strings.TrimSpace(string(b)) != "1" {
		return fmt.Errorf("%s has no carrier", port.Netdev)
	}
	return nil
}
