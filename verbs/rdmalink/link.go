// SPDX-License-Identifier: Apache-2.0

package rdmalink

import (
	"fmt"

	"github.com/Mellanox/rdmamap"
	"github.com/vishvananda/netlink"
)

// Add makes a SoftRoCE device over a network device: rdma link add name type
// rxe netdev netdev. The module rdma_rxe must be loaded.
func Add(name, netdev string) error {
	if err := netlink.RdmaLinkAdd(name, "rxe", netdev); err != nil {
		return fmt.Errorf("add rdma link %s over %s: %w", name, netdev, err)
	}
	return nil
}

// Delete ends a device that Add made.
func Delete(name string) error {
	if err := netlink.RdmaLinkDel(name); err != nil {
		return fmt.Errorf("delete rdma link %s: %w", name, err)
	}
	return nil
}

// CharDevices returns the paths in /dev that a program must open to use a
// device: what a container has to be given.
func CharDevices(name string) []string { return rdmamap.GetRdmaCharDevices(name) }
