// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lockDir makes dir and holds it against other processes.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// unpack fills k.Dir from the packages of exactly k.Version.
func (k *Kernel) unpack(ctx context.Context) error {
	if err := os.RemoveAll(k.Dir); err != nil {
		return err
	}
	build, err := k.buildPackages(ctx)
	if err != nil {
		return err
	}
	image := "linux-image-" + k.Release + "=" + k.Version
	if err := download(ctx, filepath.Join(k.Dir, "image"), image); err != nil {
		return err
	}
	if err := download(ctx, filepath.Join(k.Dir, "headers"), build...); err != nil {
		return err
	}
	if err := k.relocateHeaders(); err != nil {
		return err
	}
	if err := extractVmlinux(k.Vmlinuz(), k.Vmlinux()); err != nil {
		return err
	}
	_, err = command(ctx, "", "depmod", "-b", filepath.Join(k.Dir, "image"), k.Release)
	return err
}

// download fetches packages and unpacks them over each other into dir.
func download(ctx context.Context, dir string, pkgs ...string) error {
	debs := dir + ".debs"
	if err := os.MkdirAll(debs, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(debs)
	// As root apt would drop to _apt, which may not write here.
	args := append([]string{"-q", "-o", "APT::Sandbox::User=root", "download"}, pkgs...)
	if _, err := command(ctx, debs, "apt-get", args...); err != nil {
		return err
	}
	all, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	if len(all) != len(pkgs) {
		return fmt.Errorf("apt-get download gave %d files for %v", len(all), pkgs)
	}
	for _, deb := range all {
		if _, err := command(ctx, "", "dpkg-deb", "-x", deb, dir); err != nil {
			return err
		}
	}
	return nil
}

// relocateHeaders makes the absolute /usr paths of the headers' makefiles and
// links point into the cache.
func (k *Kernel) relocateHeaders() error {
	root := filepath.Join(k.Dir, "headers")
	abs, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	src := filepath.Join(root, "usr/src")
	makefiles, err := filepath.Glob(filepath.Join(src, "*", "Makefile"))
	if err != nil {
		return err
	}
	for _, m := range makefiles {
		b, err := os.ReadFile(m)
		if err != nil {
			return err
		}
		b = bytes.ReplaceAll(b, []byte("/usr/src/"), []byte(abs+"/usr/src/"))
		if err := os.WriteFile(m, b, 0o644); err != nil {
			return err
		}
	}
	return filepath.WalkDir(src, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink == 0 {
			return err
		}
		to, err := os.Readlink(p)
		if err != nil || !strings.HasPrefix(to, "/usr/") {
			return err
		}
		if err := os.Remove(p); err != nil {
			return err
		}
		return os.Symlink(abs+to, p)
	})
}
