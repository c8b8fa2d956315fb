// SPDX-License-Identifier: Apache-2.0

package memtemp

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUse(t *testing.T) {
	var dir string
	t.Run("inner", func(t *testing.T) {
		Use(t)
		dir = os.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "left"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) || os.TempDir() == dir {
		t.Errorf("%s is there: %v; files go to %s", dir, err, os.TempDir())
	}
}
