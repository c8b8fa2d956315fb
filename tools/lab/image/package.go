// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// skipped are parts of a package no guest needs.
var skipped = []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/lintian/", "/usr/share/bug/"}

// AddPackage adds a Debian package's files and the libraries they need. The
// package is downloaded and unpacked into cache unless it is there; libraries
// come from the host, or from the lib* packages it depends on.
func (b *Builder) AddPackage(ctx context.Context, cache, name string) error {
	root, err := unpackPackage(ctx, cache, name)
	if err != nil {
		return fmt.Errorf("package %s: %w", name, err)
	}
	deps, err := libDepends(ctx, name)
	if err != nil {
		return fmt.Errorf("package %s: %w", name, err)
	}
	b.libDirs = append(b.libDirs, libDirsOf(root)...)
	err = b.addTree(root)
	for _, dep := range deps {
		if err == nil {
			break
		}
		// A library was missing on the host: try again with one more of the dependencies.
		dir, e := unpackPackage(ctx, cache, dep)
		if e != nil {
			return fmt.Errorf("package %s: %w", name, e)
		}
		b.libDirs = append(b.libDirs, libDirsOf(dir)...)
		err = b.addTree(root)
	}
	if err != nil {
		return fmt.Errorf("package %s: %w", name, err)
	}
	return nil
}

func libDirsOf(root string) []string {
	var dirs []string
	for _, d := range libPath {
		dirs = append(dirs, filepath.Join(root, d))
	}
	return dirs
}

func (b *Builder) addTree(root string) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		guest := strings.TrimPrefix(p, root)
		if guest == "" {
			return nil
		}
		for _, s := range skipped {
			if strings.HasPrefix(guest+"/", s) {
				return nil
			}
		}
		return b.addNode(guest, p, d)
	})
}

func (b *Builder) addNode(guest, host string, d fs.DirEntry) error {
	// Debian's merged /usr: the guest keeps one copy, under /usr.
	for _, top := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(guest, top) {
			b.AddLink(guest, "/usr"+guest)
			guest = "/usr" + guest
			break
		}
	}
	switch {
	case d.IsDir():
		return nil
	case d.Type()&fs.ModeSymlink != 0:
		to, err := os.Readlink(host)
		if err == nil {
			b.AddLink(guest, to)
		}
		return err
	}
	return b.AddELF(guest, host)
}

// unpackPackage returns the folder with name's files, downloading it if needed.
func unpackPackage(ctx context.Context, cache, name string) (string, error) {
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cache, ".part-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if _, err := run(ctx, tmp, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("apt-get download %s gave %v", name, debs)
	}
	if _, err := run(ctx, tmp, "dpkg-deb", "-x", debs[0], "tree"); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(tmp, "tree"), dir); err != nil && !os.IsExist(err) {
		return "", err
	}
	return dir, nil
}

// libDepends lists the lib* packages among name's dependencies, nearest first.
func libDepends(ctx context.Context, name string) ([]string, error) {
	out, err := run(ctx, "", "apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
		"--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", name)
	if err != nil {
		return nil, err
	}
	var libs []string
	seen := map[string]bool{}
	for _, line := range strings.Split(string(out), "\n") {
		dep, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if ok && strings.HasPrefix(dep, "lib") && !seen[dep] {
			seen[dep] = true
			libs = append(libs, dep)
		}
	}
	return libs, nil
}

func run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
