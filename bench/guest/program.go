// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// Build builds a static program of this repository, for a guest or for the host.
func Build(ctx context.Context, dir, pkg string) (string, error) {
	out := filepath.Join(dir, path.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "lazystate/"+pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, b)
	}
	return out, nil
}

// Programs builds pkgs into a temporary folder and returns what lab.Config
// wants in Files: /bin/<name> of each. done removes the folder.
func Programs(ctx context.Context, pkgs ...string) (files map[string]string, done func(), err error) {
	dir, err := os.MkdirTemp("", "lazystate-bench-")
	if err != nil {
		return nil, nil, err
	}
	files = map[string]string{}
	for _, pkg := range pkgs {
		out, err := Build(ctx, dir, pkg)
		if err != nil {
			os.RemoveAll(dir)
			return nil, nil, err
		}
		files["/bin/"+path.Base(pkg)] = out
	}
	return files, func() { os.RemoveAll(dir) }, nil
}
