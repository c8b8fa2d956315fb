// SPDX-License-Identifier: Apache-2.0

package rdmalink

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/verbs/driver"
)

// tree writes a sysfs whose files are lines "path: content".
func tree(t *testing.T, files string) Sysfs {
	t.Helper()
	root := t.TempDir()
	for line := range strings.Lines(files) {
		name, content, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		path := filepath.Join(root, "class/infiniband", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Sysfs(root)
}

// As a guest with one SoftRoCE device shows it; of a hole the address is zero.
const rxe = `
	rxe0/ports/1/gids/0: fe80:0000:0000:0000:5054:00ff:fe12:3456
	rxe0/ports/1/gids/1: 0000:0000:0000:0000:0000:ffff:0a4d:0002
	rxe0/ports/1/gids/2: 0000:0000:0000:0000:0000:0000:0000:0000
	rxe0/ports/1/gids/10: fd77:0000:0000:0000:0000:0000:0000:0002
	rxe0/ports/1/gid_attrs/types/0: RoCE v2
	rxe0/ports/1/gid_attrs/types/1: RoCE v2
	rxe0/ports/1/gid_attrs/types/10: RoCE v2
	rxe0/ports/1/gid_attrs/ndevs/0: eth0
	rxe0/ports/1/gid_attrs/ndevs/1: eth0
	rxe0/ports/1/gid_attrs/ndevs/10: eth0
	rxe0/ports/1/hw_counters/duplicate_request: 3
	rxe0/ports/1/hw_counters/retry_exceeded_err: 0
`

const mlx = `
	mlx5_0/ports/1/gids/0: 0000:0000:0000:0000:0000:ffff:0a4d:0009
	mlx5_0/ports/1/gid_attrs/types/0: IB/RoCE v1
	mlx5_0/ports/1/gid_attrs/ndevs/0: enp1s0
	mlx5_0/ports/2/gids/0: 0000:0000:0000:0000:0000:ffff:0a4d:0009
	mlx5_0/ports/2/gid_attrs/types/0: RoCE v2
	mlx5_0/ports/2/gid_attrs/ndevs/0: enp2s0
`

func TestGIDs(t *testing.T) {
	s := tree(t, rxe)
	gids, err := s.GIDs("rxe0", 1)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(i int, addr string) driver.GIDEntry {
		return driver.GIDEntry{Index: i, GID: driver.GIDOf(netip.MustParseAddr(addr)), Type: driver.GIDRoCEv2, Netdev: "eth0"}
	}
	want := []driver.GIDEntry{entry(0, "fe80::5054:ff:fe12:3456"), entry(1, "10.77.0.2"), entry(10, "fd77::2")}
	if diff := cmp.Diff(want, gids); diff != "" {
		t.Error(diff)
	}
	if name, err := s.Netdev("rxe0", 1); err != nil || name != "eth0" {
		t.Errorf("%q, %v", name, err)
	}
	c, err := s.Counters("rxe0", 1)
	if diff := cmp.Diff(map[string]uint64{"duplicate_request": 3, "retry_exceeded_err": 0}, c); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestFind(t *testing.T) {
	s := tree(t, rxe+mlx)
	dev, port, gid, err := s.ByAddr(netip.MustParseAddr("10.77.0.9"))
	if err != nil || dev != "mlx5_0" || port != 2 || gid.Netdev != "enp2s0" {
		t.Errorf("not the v2 row: %s %d %+v %v", dev, port, gid, err)
	}
	if dev, port, err := s.ByNetdev("eth0"); err != nil || dev != "rxe0" || port != 1 {
		t.Errorf("%s %d %v", dev, port, err)
	}
	if _, _, err := s.ByNetdev("eth7"); !errors.Is(err, driver.ErrNotSupported) {
		t.Error(err)
	}
	if _, _, _, err := s.ByAddr(netip.MustParseAddr("10.77.0.1")); !errors.Is(err, driver.ErrNotSupported) {
		t.Error(err)
	}
}

func TestNoRDMA(t *testing.T) {
	s := Sysfs(t.TempDir())
	if devs, err := s.Devices(); len(devs) != 0 || err != nil {
		t.Errorf("%v, %v", devs, err)
	}
	if _, err := s.GIDs("rxe0", 1); err == nil {
		t.Error("a device that is not there has gids")
	}
}

func TestWrongTables(t *testing.T) {
	for _, files := range []string{
		"d/ports/1/gids/0: not an address",
		"d/ports/1/gids/0: fe80::1%eth0",
		"d/ports/1/gids/x: fe80::1",
		"d/ports/1/gids/0: fe80::1\nd/ports/1/gid_attrs/types/0: RoCE v9",
	} {
		if gids, err := tree(t, files).GIDs("d", 1); err == nil {
			t.Errorf("%q gives %v", files, gids)
		}
	}
}

// Without privilege, or without RDMA, the kernel refuses: that is an error
// with the link's name.
func TestAddToNothing(t *testing.T) {
	if err := Add("rxe_test", "no-such-netdev"); err == nil || !strings.Contains(err.Error(), "rxe_test over no-such-netdev") {
		t.Error(err)
	}
	if err := Delete("rxe_test"); err == nil {
		t.Error("deleted what was not there")
	}
}
