// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"lazystate/tools/lab/kernel"
)

// moduleFiles returns a module of the VM's kernel and its dependencies on the host.
func moduleFiles(t *testing.T, vm *VM, name string) []string {
	t.Helper()
	k, err := kernel.Get(t.Context(), filepath.Join(CacheDir(), "kernels"), vm.Config().Kernel)
	if err != nil {
		t.Fatal(err)
	}
	mods, err := k.ModulePaths(name)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, m := range mods {
		paths = append(paths, m.Path)
	}
	return paths
}

// withAddr gives a link of this thread's namespace an address while f runs.
func withAddr(link, addr string, f func() error) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		return fmt.Errorf("address %s: %w", addr, err)
	}
	defer netlink.AddrDel(l, a)
	return f()
}

// pingOnce runs in this thread's namespace, as its children do.
func pingOnce(addr string) error {
	out, err := exec.Command("/bin/busybox", "ping", "-c", "1", "-W", "5", addr).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ping %s: %w: %s", addr, err, out)
	}
	return nil
}
