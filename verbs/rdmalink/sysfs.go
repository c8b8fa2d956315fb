// SPDX-License-Identifier: Apache-2.0

package rdmalink

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/Mellanox/rdmamap"
	"golang.org/x/sys/unix"

	"lazystate/verbs/driver"
)

// Sysfs is where a sysfs is mounted.
type Sysfs string

// System is the running kernel's.
const System Sysfs = "/sys"

func (s Sysfs) class(elem ...string) string {
	return filepath.Join(append([]string{string(s), "class", "infiniband"}, elem...)...)
}

// Devices returns the names of all RDMA devices; none if the kernel has no
// RDMA at all.
func (s Sysfs) Devices() ([]string, error) { return s.list(s.class()) }

func (s Sysfs) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Ports returns the numbers of a device's ports.
func (s Sysfs) Ports(dev string) ([]int, error) {
	names, err := s.list(s.class(dev, "ports"))
	if err != nil {
		return nil, err
	}
	var ports []int
	for _, n := range names {
		p, err := strconv.Atoi(n)
		if err != nil {
			return nil, fmt.Errorf("port %q of %s: %w", n, dev, err)
		}
		ports = append(ports, p)
	}
	slices.Sort(ports)
	return ports, nil
}

// GIDs returns the rows of a port's GID table that are in use, by index.
func (s Sysfs) GIDs(dev string, port int) ([]driver.GIDEntry, error) {
	dir := s.class(dev, "ports", strconv.Itoa(port))
	rows, err := os.ReadDir(filepath.Join(dir, "gids"))
	if err != nil {
		return nil, fmt.Errorf("gids of %s port %d: %w", dev, port, err)
	}
	var gids []driver.GIDEntry
	for _, row := range rows {
		e, used, err := readGID(dir, row.Name())
		if err != nil {
			return nil, fmt.Errorf("gid %s of %s port %d: %w", row.Name(), dev, port, err)
		}
		if used {
			gids = append(gids, e)
		}
	}
	slices.SortFunc(gids, func(a, b driver.GIDEntry) int { return a.Index - b.Index })
	return gids, nil
}

// readGID reads one row; it is not used if its address is zero or its
// attributes cannot be read.
func readGID(dir, row string) (e driver.GIDEntry, used bool, err error) {
	if e.Index, err = strconv.Atoi(row); err != nil {
		return e, false, err
	}
	text, err := read(dir, "gids", row)
	if err != nil {
		return e, false, err
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return e, false, fmt.Errorf("address %q: %w", text, driver.ErrInvalid)
	}
	if e.GID = addr.As16(); e.GID == (driver.GID{}) {
		return e, false, nil
	}
	typ, err := read(dir, "gid_attrs", "types", row)
	if errors.Is(err, unix.EINVAL) {
		return e, false, nil // it went away
	}
	if err != nil {
		return e, false, err
	}
	if e.Type, err = gidType(typ); err != nil {
		return e, false, err
	}
	e.Netdev, err = read(dir, "gid_attrs", "ndevs", row)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist) {
		err = nil // InfiniBand
	}
	return e, err == nil, err
}

func read(elem ...string) (string, error) {
	b, err := os.ReadFile(filepath.Join(elem...))
	return strings.TrimSpace(string(b)), err
}

// gidType parses what the kernel's gid_type_str says.
func gidType(s string) (driver.GIDType, error) {
	switch s {
	case "IB/RoCE v1":
		return driver.GIDRoCEv1, nil
	case "RoCE v2":
		return driver.GIDRoCEv2, nil
	}
	return 0, fmt.Errorf("type %q: %w", s, driver.ErrInvalid)
}

// Netdev returns the network device that a port's addresses are of; "" if it
// has none.
func (s Sysfs) Netdev(dev string, port int) (string, error) {
	gids, err := s.GIDs(dev, port)
	if err != nil {
		return "", err
	}
	for _, g := range gids {
		if g.Netdev != "" {
			return g.Netdev, nil
		}
	}
	return "", nil
}

// ByNetdev returns the RDMA device and port over a network device.
func (s Sysfs) ByNetdev(netdev string) (dev string, port int, err error) {
	dev, port, _, err = s.find(func(g driver.GIDEntry) bool { return g.Netdev == netdev })
	if err == nil || s != System {
		return dev, port, err
	}
	// IP over InfiniBand: it knows its device by hardware address only.
	if name, e := rdmamap.GetRdmaDeviceForNetdevice(netdev); e == nil {
		return name, 1, nil
	}
	return "", 0, fmt.Errorf("rdma device over %s: %w", netdev, err)
}

// ByAddr returns the RDMA device that has an address as RoCE v2 GID, and that
// row of its port.
func (s Sysfs) ByAddr(a netip.Addr) (dev string, port int, gid driver.GIDEntry, err error) {
	want := driver.GIDOf(a)
	dev, port, gid, err = s.find(func(g driver.GIDEntry) bool { return g.GID == want && g.Type == driver.GIDRoCEv2 })
	if err != nil {
		err = fmt.Errorf("rdma device with address %v: %w", a, err)
	}
	return dev, port, gid, err
}

// find returns the first row that match likes.
func (s Sysfs) find(match func(driver.GIDEntry) bool) (string, int, driver.GIDEntry, error) {
	none := driver.GIDEntry{}
	devs, err := s.Devices()
	if err != nil {
		return "", 0, none, err
	}
	for _, dev := range devs {
		ports, err := s.Ports(dev)
		if err != nil {
			return "", 0, none, err
		}
		for _, port := range ports {
			gids, err := s.GIDs(dev, port)
			if err != nil {
				return "", 0, none, err
			}
			if i := slices.IndexFunc(gids, match); i >= 0 {
				return dev, port, gids[i], nil
			}
		}
	}
	return "", 0, none, driver.ErrNotSupported
}

// Counters returns a port's hardware counters: of rxe, how often it sent and
// received what again.
func (s Sysfs) Counters(dev string, port int) (map[string]uint64, error) {
	dir := s.class(dev, "ports", strconv.Itoa(port), "hw_counters")
	names, err := s.list(dir)
	if err != nil {
		return nil, err
	}
	counters := map[string]uint64{}
	for _, n := range names {
		text, err := read(dir, n)
		if err != nil {
			return nil, fmt.Errorf("counter %s of %s: %w", n, dev, err)
		}
		if counters[n], err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fmt.Errorf("counter %s of %s: %w", n, dev, err)
		}
	}
	return counters, nil
}
