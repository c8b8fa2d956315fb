// SPDX-License-Identifier: Apache-2.0

package drill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
)

//go:embed c/*.c c/*.h
var sources embed.FS

// Build compiles the programs into one static binary under dir, named by the
// digest of its sources, and returns its path. A second call finds it there.
func Build(ctx context.Context, dir string) (string, error) {
	names, digest, err := listSources()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "rogue-"+digest)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build the rogue programs: %w", err)
	}
	tmp, err := os.MkdirTemp(dir, ".rogue-")
	if err != nil {
		return "", fmt.Errorf("build the rogue programs: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := compile(ctx, tmp, names); err != nil {
		return "", fmt.Errorf("build the rogue programs: %w", err)
	}
	return path, os.Rename(filepath.Join(tmp, "rogue"), path)
}

func listSources() (names []string, digest string, err error) {
	entries, err := sources.ReadDir("c")
	if err != nil {
		return nil, "", err
	}
	h := sha256.New()
	for _, e := range entries {
		b, err := sources.ReadFile("c/" + e.Name())
		if err != nil {
			return nil, "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", e.Name(), len(b), b)
		names = append(names, e.Name())
	}
	sort.Strings(names)
	return names, fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}

func compile(ctx context.Context, dir string, names []string) error {
	args := []string{"-O2", "-Wall", "-Wextra", "-static", "-pthread", "-o", "rogue"}
	for _, name := range names {
		b, err := sources.ReadFile("c/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
		if filepath.Ext(name) == ".c" {
			args = append(args, name)
		}
	}
	cmd := exec.CommandContext(ctx, "gcc", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
