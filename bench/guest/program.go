// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"os"
	"path"
	"path/filepath"

	"lazystate/tools/lab"
)

// Monitor builds bdmon for this host and returns its path.
func Monitor(ctx context.Context) (path string, err error) {
	return lab.Program(ctx, "bdmon", "lazystate/tools/bdmon")
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
		out := filepath.Join(dir, path.Base(pkg))
		if err := lab.GoBuild(ctx, out, "lazystate/"+pkg); err != nil {
			os.RemoveAll(dir)
			return nil, nil, err
		}
		files["/bin/"+path.Base(pkg)] = out
	}
	return files, func() { os.RemoveAll(dir) }, nil
}
