// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Whoever reads meanwhile has one version, whole; in the end the last one is there, with
// its mode, and nothing beside it.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	version := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i*1000) }
	if err := Write(path, version(0), 0o600); err != nil {
		t.Fatal(err)
	}
	const last = 100
	written := make(chan error, 1)
	go func() {
		for i := 1; i <= last; i++ {
			if err := Write(path, version(i), 0o644); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for over := false; !over; {
		select {
		case err := <-written:
			if over = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 || !bytes.Equal(b, version(int(b[0]))) {
			t.Fatalf("%d bytes of no version, %v", len(b), err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, version(last)) {
		t.Errorf("%d bytes in the end, %v", len(b), err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", st, err)
	}
	alone(t, path)
}

// What cannot be written leaves everything as it was.
func TestFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x"), 0o600); err == nil {
		t.Error("a folder is replaced")
	}
	alone(t, path)
	if err := Write(filepath.Join(path, "none", "file"), nil, 0o600); err == nil {
		t.Error("there is no such folder")
	}
}

func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v beside it, %v", entries, err)
	}
}
