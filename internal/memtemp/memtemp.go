// SPDX-License-Identifier: Apache-2.0

package memtemp

import (
	"os"
	"testing"
)

// Use sets TMPDIR to a folder in memory for a test and what it starts.
func Use(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lazystate-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TMPDIR", dir)
}
