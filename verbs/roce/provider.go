// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"lazystate/verbs/driver"
)

// Provider opens devices by address: "10.77.0.1", "[fd00::1]:4791".
type Provider struct{ Config Config } // Local and Port are taken from the name

func (Provider) Name() string { return "roce" }

// Devices lists the addresses of this machine that a device can have.
func (Provider) Devices() ([]string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var names []string
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			names = append(names, p.Addr().Unmap().String())
		}
	}
	return names, nil
}

// Open opens the device with an address; "" is 127.0.0.1.
func (p Provider) Open(_ context.Context, name string) (driver.Device, error) {
	c := p.Config
	if name != "" {
		if ap, err := netip.ParseAddrPort(name); err == nil {
			c.Local, c.Port = ap.Addr(), ap.Port()
		} else if c.Local, err = netip.ParseAddr(name); err != nil {
			return nil, fmt.Errorf("open roce device %q: want an address, or address:port: %w", name, driver.ErrInvalid)
		}
	}
	return Open(c)
}

// ifaceOf returns the interface that has an address; nil if none has.
func ifaceOf(a netip.Addr) *net.Interface {
	list, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for i := range list {
		addrs, err := list[i].Addrs()
		if err != nil {
			continue
		}
		for _, n := range addrs {
			p, err := netip.ParsePrefix(n.String())
			if err == nil && (p.Addr() == a || p.Addr().IsLoopback() && p.Contains(a)) {
				return &list[i]
			}
		}
	}
	return nil
}

func netdevOf(a netip.Addr) string {
	if ifc := ifaceOf(a); ifc != nil {
		return ifc.Name
	}
	return ""
}

// headroom is what a packet needs beside its payload: Ethernet's and IP's
// headers, and the longest of the transport's, as rxe counts them.
const headroom = 80

// mtuOf returns the largest MTU whose packets fit the interface of an address;
// the largest there is if no interface has it.
func mtuOf(a netip.Addr) driver.MTU {
	ifc := ifaceOf(a)
	if ifc == nil {
		return driver.MTU4096
	}
	m := driver.MTU4096
	for m > driver.MTU256 && m.Bytes()+headroom > ifc.MTU {
		m--
	}
	return m
}
