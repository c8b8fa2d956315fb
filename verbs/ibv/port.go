// SPDX-License-Identifier: Apache-2.0

//go:build cgo && linux

package ibv

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"net"

	"lazystate/verbs/driver"
)

// Port describes a port; they are numbered from 1.
//
// Implements:
//
//	int ibv_query_port(struct ibv_context *context, uint8_t port_num, struct ibv_port_attr *port_attr);
func (d *Device) Port(num int) (driver.PortAttr, error) {
	if num < 1 || num > d.attr.Ports {
		return driver.PortAttr{}, fmt.Errorf("port %d of %s: %w", num, d.attr.Name, invalid("ibv_query_port"))
	}
	var a C.struct_ibv_port_attr
	ret, err := C.lz_query_port(d.ctx, C.uint8_t(num), &a)
	if err := check("ibv_query_port", int(ret), err); err != nil {
		return driver.PortAttr{}, fmt.Errorf("port %d of %s: %w", num, d.attr.Name, err)
	}
	p := driver.PortAttr{
		Num: num, State: driver.PortState(a.state), MaxMTU: driver.MTU(a.max_mtu), ActiveMTU: driver.MTU(a.active_mtu),
		LID: uint16(a.lid), MaxMsg: uint32(a.max_msg_sz), GIDs: int(a.gid_tbl_len),
		Ethernet: a.link_layer == C.IBV_LINK_LAYER_ETHERNET,
	}
	gids, err := d.GIDs(num)
	if err != nil {
		return p, err
	}
	for _, g := range gids {
		if p.Netdev == "" {
			p.Netdev = g.Netdev
		}
	}
	return p, nil
}

// GIDs returns the rows of a port's GID table that are in use.
//
// Implements:
//
//	ssize_t ibv_query_gid_table(struct ibv_context *context, struct ibv_gid_entry *entries, size_t max_entries, uint32_t flags);
func (d *Device) GIDs(port int) ([]driver.GIDEntry, error) {
	size := 0 // of the tables of all ports together: that is how they are read
	for num := 1; num <= d.attr.Ports; num++ {
		var a C.struct_ibv_port_attr
		ret, err := C.lz_query_port(d.ctx, C.uint8_t(num), &a)
		if err := check("ibv_query_port", int(ret), err); err != nil {
			return nil, err
		}
		size += int(a.gid_tbl_len)
	}
	if size == 0 {
		return nil, nil
	}
	rows := make([]C.struct_ibv_gid_entry, size)
	n, err := C.ibv_query_gid_table(d.ctx, &rows[0], C.size_t(size), 0)
	if n < 0 {
		return nil, fmt.Errorf("GID table of %s: %w", d.attr.Name, check("ibv_query_gid_table", int(n), err))
	}
	var gids []driver.GIDEntry
	for i := range rows[:n] {
		if r := &rows[i]; int(r.port_num) == port {
			gids = append(gids, driver.GIDEntry{
				Index: int(r.gid_index), GID: driver.GID(r.gid), Type: driver.GIDType(r.gid_type), Netdev: netdevName(int(r.ndev_ifindex)),
			})
		}
	}
	return gids, nil
}

func netdevName(index int) string {
	if index == 0 {
		return ""
	}
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return "" // it lives in another network namespace
	}
	return i.Name
}
