// SPDX-License-Identifier: Apache-2.0

package roce

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lazystate/verbs/driver"
	"lazystate/verbs/roce/frame"
)

// Provider opens devices by address: "10.77.0.1", "[fd00::1]:4791",
// "10.77.0.1?mtu=1024&spin=20us". See parse.
type Provider struct{}

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
func (Provider) Open(_ context.Context, name string) (driver.Device, error) {
	c, err := parse(name)
	if err != nil {
		return nil, fmt.Errorf("open roce device %q: %w: %w", name, err, driver.ErrInvalid)
	}
	return Open(c)
}

// parse reads "address?key=value&...". The keys: mtu (256 to 4096); spin (a
// time); port and peerport (UDP); gso=off and gro=off; tap or packet, the name
// of an interface on which the address is the device's own, with mac, prefix and
// gateway; and to try how a program bears it, loss (a share of the packets) with
// seed.
func parse(name string) (Config, error) {
	var c Config
	addr, query, _ := strings.Cut(name, "?")
	if addr != "" {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil {
			a, err := netip.ParseAddr(addr)
			if err != nil {
				return c, err
			}
			ap = netip.AddrPortFrom(a, 0)
		}
		c.Local, c.Port = ap.Addr(), ap.Port()
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return c, err
	}
	for key, values := range q {
		if err := c.set(key, values[len(values)-1]); err != nil {
			return c, fmt.Errorf("%s: %w", key, err)
		}
	}
	return c, nil
}

func (c *Config) set(key, value string) (err error) {
	switch key {
	case "mtu":
		for m := driver.MTU256; m <= driver.MTU4096; m++ {
			if value == m.String() {
				c.MTU = m
				return nil
			}
		}
		return fmt.Errorf("%q: there are 256, 512, 1024, 2048, 4096", value)
	case "spin":
		c.Spin, err = time.ParseDuration(value)
	case "port":
		c.Port, err = parsePort(value)
	case "peerport":
		c.PeerPort, err = parsePort(value)
	case "gso":
		c.UDP.NoGSO, err = parseOff(value)
	case "gro":
		c.UDP.NoGRO, err = parseOff(value)
	case "tap":
		c.L2.TAP = value
	case "packet":
		c.L2.Interface = value
	case "mac":
		c.L2.MAC, err = parseMAC(value)
	case "prefix":
		c.L2.Prefix, err = netip.ParsePrefix(value)
	case "gateway":
		c.L2.Gateway, err = netip.ParseAddr(value)
	case "loss":
		if c.Faults.Loss, err = strconv.ParseFloat(value, 64); err == nil && !(c.Faults.Loss >= 0 && c.Faults.Loss <= 1) {
			err = fmt.Errorf("%v is not from 0 to 1", value)
		}
	case "seed":
		c.Faults.Seed, err = strconv.ParseUint(value, 10, 64)
	default:
		err = errors.New("unknown; there are mtu, spin, port, peerport, gso, gro, tap, packet, mac, prefix, gateway, loss, seed")
	}
	return err
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

func parseMAC(s string) (m frame.MAC, err error) {
	b, err := net.ParseMAC(s)
	if err == nil && (len(b) != len(m) || b[0]&1 != 0) {
		err = fmt.Errorf("%s is not one station's Ethernet address", s)
	}
	copy(m[:], b)
	return m, err
}

func parseOff(s string) (bool, error) {
	if s != "on" && s != "off" {
		return false, fmt.Errorf("%q is neither on nor off", s)
	}
	return s == "off", nil
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
