// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"lazystate/internal/goprogram"
)

// sourceRoot finds the project's folder from the working directory or from
// where the command lies; empty outside a checkout.
var sourceRoot = sync.OnceValue(func() string {
	wd, _ := os.Getwd()
	exe, _ := os.Executable()
	for _, start := range []string{wd, filepath.Dir(exe)} {
		for dir := start; dir != "" && dir != "/"; dir = filepath.Dir(dir) {
			b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && bytes.HasPrefix(b, []byte("module lazystate\n")) {
				return dir
			}
		}
	}
	return ""
})

// CacheDir is where kernels, packages and images are kept: build/cache of the
// checkout, or /var/cache/lazystate; LAZYSTATE_CACHE overrides.
func CacheDir() string {
	if dir := os.Getenv("LAZYSTATE_CACHE"); dir != "" {
		return dir
	}
	if root := sourceRoot(); root != "" {
		return filepath.Join(root, "build", "cache")
	}
	return "/var/cache/lazystate"
}

// guestInit returns the guest's init, built from source.
func guestInit(ctx context.Context) (string, error) {
	return Program(ctx, "guestinit", "lazystate/tools/lab/guestinit")
}

// programs are those that this process has built: sources do not change under it.
var programs struct {
	sync.Mutex
	built map[string]bool // by path
}

// once builds a program unless this process has, and returns its path.
func once(out string, build func() error) (string, error) {
	programs.Lock()
	defer programs.Unlock()
	if programs.built[out] {
		return out, nil
	}
	if err := build(); err != nil {
		return "", err
	}
	if programs.built == nil {
		programs.built = map[string]bool{}
	}
	programs.built[out] = true
	return out, nil
}

// Program builds a static program into the cache, once in a process and once in a
// run of all tests, and returns its path.
func Program(ctx context.Context, name, pkg string) (string, error) {
	kept, err := goprogram.Kept("static")
	if err != nil {
		return "", err
	}
	out := filepath.Join(cmp.Or(kept, CacheDir()), name)
	return once(out, func() error {
		if _, err := os.Stat(out); kept != "" && err == nil {
			return nil
		}
		return GoBuild(ctx, out, pkg)
	})
}

// goCommand is PATH's go, or the one bootstrap.sh fetched into the checkout.
func goCommand() string {
	fetched := filepath.Join(sourceRoot(), "build", "go", "bin", "go")
	if _, err := os.Stat(fetched); err == nil {
		return fetched
	}
	return "go"
}

// GoBuild builds a static program for a guest or the host.
func GoBuild(ctx context.Context, out, pkg string) error {
	return goBuild(ctx, out, pkg, "CGO_ENABLED=0")
}

// GoBuildCgo builds a program that has C libraries; Config.Files brings them along.
func GoBuildCgo(ctx context.Context, out, pkg string) error {
	return goBuild(ctx, out, pkg, "CGO_ENABLED=1")
}

func goBuild(ctx context.Context, out, pkg, cgo string) error {
	if sourceRoot() == "" {
		return fmt.Errorf("build %s: neither the working directory nor this command lies in a checkout of lazystate", pkg)
	}
	return replace(out, func(part string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, goCommand(), "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", part, pkg)
		cmd.Env = append(os.Environ(), cgo, "GOOS=linux", "GOARCH=amd64")
		return cmd
	})
}

// replace has a go command write a file, which replaces what was there at once,
// because others may be reading that.
func replace(out string, build func(part string) *exec.Cmd) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	part := fmt.Sprintf("%s.%d.part", out, os.Getpid())
	defer os.Remove(part)
	cmd := build(part)
	cmd.Dir = sourceRoot()
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, b)
	}
	if err := os.Rename(part, out); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// ModuleFile is where "make kmod" left a module for the VM's kernel.
func (vm *VM) ModuleFile(name string) (string, error) {
	dir := filepath.Join(sourceRoot(), "build", "kmod", vm.Release())
	for _, pattern := range []string{name + ".ko", "*/" + name + ".ko"} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("%s is not built for %s: run make kmod", name, vm.Release())
}
