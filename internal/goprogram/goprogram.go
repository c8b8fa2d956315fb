// SPDX-License-Identifier: Apache-2.0

package goprogram

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const keptEnv = "LAZYSTATE_PROGRAMS"

// Kept is the folder for what one process of a run has built and others need:
// one for each way of building. Empty: nothing is kept.
func Kept(way string) (string, error) {
	root := os.Getenv(keptEnv)
	if root == "" {
		return "", nil
	}
	dir := filepath.Join(root, way)
	return dir, os.MkdirAll(dir, 0o755)
}

// Build makes commands, by their import paths, in a folder that is there, each
// under its base name.
func Build(ctx context.Context, dir string, pkgs ...string) error {
	kept, err := Kept("host")
	if err != nil {
		return err
	}
	if kept == "" {
		return build(ctx, dir, pkgs)
	}
	if err := fill(ctx, kept, pkgs); err != nil {
		return err
	}
	for _, pkg := range pkgs {
		if err := bring(place(kept, pkg), filepath.Join(dir, path.Base(pkg))); err != nil {
			return err
		}
	}
	return nil
}

// place is where a command is kept: two may have one base name.
func place(kept, pkg string) string {
	return filepath.Join(kept, strings.ReplaceAll(pkg, "/", "_"))
}

// fill builds what is not kept yet. Two processes may build the same: each file is
// there whole or not at all.
func fill(ctx context.Context, kept string, pkgs []string) error {
	missing := slices.DeleteFunc(slices.Clone(pkgs), func(pkg string) bool {
		_, err := os.Stat(place(kept, pkg))
		return err == nil
	})
	if len(missing) == 0 {
		return nil
	}
	part, err := os.MkdirTemp(kept, "part-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := build(ctx, part, missing); err != nil {
		return err
	}
	for _, pkg := range missing {
		if err := os.Rename(filepath.Join(part, path.Base(pkg)), place(kept, pkg)); err != nil {
			return err
		}
	}
	return nil
}

// bring links a file, or copies it where the folders are of two file systems.
func bring(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Link(from, to) == nil {
		return nil
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

func build(ctx context.Context, dir string, pkgs []string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", dir + "/"}, pkgs...)
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(pkgs, " "), err, out)
	}
	return nil
}
