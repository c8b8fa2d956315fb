// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/tools/lab/wire"
)

// bringUp finds the interface with n's hardware address, gives it n's name
// and address, and brings it up. Classic ioctls: no netlink library needed.
func bringUp(n wire.Net) error {
	name, err := findMAC(n.MAC)
	if err != nil {
		return err
	}
	if name != n.Name {
		if err := rename(name, n.Name); err != nil {
			return fmt.Errorf("rename %s to %s: %w", name, n.Name, err)
		}
	}
	return configureNet(n.Name, n.Addr)
}

func findMAC(mac string) (string, error) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		all, _ := filepath.Glob("/sys/class/net/*/address")
		for _, p := range all {
			if b, err := os.ReadFile(p); err == nil && strings.TrimSpace(string(b)) == mac {
				return filepath.Base(filepath.Dir(p)), nil
			}
		}
		if time.Now().After(end) {
			return "", fmt.Errorf("no interface has address %s", mac)
		}
	}
}

func configureNet(name, addr string) error {
	if addr != "" {
		p, err := netip.ParsePrefix(addr)
		if err != nil {
			return err
		}
		if !p.Addr().Is4() {
			return fmt.Errorf("%s: only IPv4 is built in, use ip(8) for the rest", addr)
		}
		if err := addrIoctl(unix.SIOCSIFADDR, name, p.Addr()); err != nil {
			return fmt.Errorf("address of %s: %w", name, err)
		}
		mask, _ := netip.AddrFromSlice(net.CIDRMask(p.Bits(), 32))
		if err := addrIoctl(unix.SIOCSIFNETMASK, name, mask); err != nil {
			return fmt.Errorf("mask of %s: %w", name, err)
		}
	}
	return linkUp(name)
}

func withSocket(f func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd)
}

func addrIoctl(req uint, name string, a netip.Addr) error {
	return withSocket(func(fd int) error {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := r.SetInet4Addr(a.AsSlice()); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, req, r)
	})
}

func linkUp(name string) error {
	return withSocket(func(fd int) error {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
			return fmt.Errorf("flags of %s: %w", name, err)
		}
		r.SetUint16(r.Uint16() | unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	})
}

// rename is done by hand: unix.Ifreq has no setter for ifr_newname.
func rename(from, to string) error {
	return withSocket(func(fd int) error {
		var req struct{ name, newname [unix.IFNAMSIZ]byte }
		copy(req.name[:unix.IFNAMSIZ-1], from)
		copy(req.newname[:unix.IFNAMSIZ-1], to)
		var whole [40]byte // sizeof(struct ifreq)
		copy(whole[:16], req.name[:])
		copy(whole[16:], req.newname[:])
		return ioctlPtr(fd, unix.SIOCSIFNAME, unsafe.Pointer(&whole[0]))
	})
}
