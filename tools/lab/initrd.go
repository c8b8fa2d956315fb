// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"lazystate/tools/lab/image"
	"lazystate/tools/lab/kernel"
	"lazystate/tools/lab/wire"
)

// buildInitrd writes the guest's initramfs.
func buildInitrd(ctx context.Context, out, name string, c Config, k *kernel.Kernel) error {
	b := image.New()
	initPath, err := guestInit(ctx)
	if err != nil {
		return err
	}
	b.AddFile("/init", initPath, 0o755)
	b.AddBytes("/etc/passwd", []byte("root:"+consoleHash+":0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"), 0o644)
	b.AddBytes("/etc/group", []byte("root:x:0:\nnobody:x:65534:\n"), 0o644)
	if err := addBusybox(ctx, b); err != nil {
		return err
	}
	setup, err := addModules(b, c, k)
	if err != nil {
		return err
	}
	setup.Hostname, setup.Swap, setup.Sysctl = name, c.SwapMiB > 0, c.Sysctl
	setup.Login = c.Login
	for i, n := range c.NICs {
		net := wire.Net{MAC: mac(name, i), Name: fmt.Sprintf("eth%d", i), Addr: n.Addr}
		if n.RXE {
			net.RXE = fmt.Sprintf("rxe%d", i)
		}
		setup.Nets = append(setup.Nets, net)
	}
	text, err := json.Marshal(setup)
	if err != nil {
		return err
	}
	b.AddBytes("/etc/lab.json", text, 0o644)
	if err := addUserFiles(ctx, b, c); err != nil {
		return err
	}
	return b.WriteTo(out)
}

// addBusybox adds Debian's static busybox and a link for each applet.
func addBusybox(ctx context.Context, b *image.Builder) error {
	const path = "/bin/busybox"
	list, err := exec.CommandContext(ctx, path, "--list").Output()
	if err != nil {
		return fmt.Errorf("%s of package busybox-static: %w", path, err)
	}
	b.AddFile(path, path, 0o755)
	for _, applet := range strings.Fields(string(list)) {
		if applet != "busybox" {
			b.AddLink("/bin/"+applet, "busybox")
		}
	}
	return nil
}

// addModules adds the modules this configuration needs, in order of insertion.
func addModules(b *image.Builder, c Config, k *kernel.Kernel) (wire.Setup, error) {
	names := []string{"virtio_pci", "virtio_console"}
	if len(c.NICs) > 0 {
		names = append(names, "virtio_net")
	}
	if c.SwapMiB > 0 {
		names = append(names, "virtio_blk")
	}
	if c.hasRXE() {
		names = append(names, rxeModules...)
	}
	mods, err := k.ModulePaths(append(names, c.Modules...)...)
	if err != nil {
		return wire.Setup{}, err
	}
	var s wire.Setup
	for _, m := range mods {
		guest := "/lib/modules/" + filepath.Base(m.Path)
		b.AddFile(guest, m.Path, 0o644)
		s.Modules = append(s.Modules, guest)
	}
	return s, nil
}

func addUserFiles(ctx context.Context, b *image.Builder, c Config) error {
	for _, p := range c.Packages {
		if err := b.AddPackage(ctx, filepath.Join(CacheDir(), "packages"), p); err != nil {
			return err
		}
	}
	files := maps.Clone(c.Files)
	if c.hasRXE() {
		files = withRXE(files)
	}
	for _, guest := range slices.Sorted(maps.Keys(files)) {
		host := files[guest]
		st, err := os.Stat(host)
		if err != nil {
			return err
		}
		if st.IsDir() {
			return fmt.Errorf("%s is a folder: name its files", host)
		}
		if err := b.AddELF(guest, host); err != nil {
			return err
		}
	}
	return nil
}
