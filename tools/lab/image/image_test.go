// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"
)

func unpack(t *testing.T, path string) map[string]cpio.Record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	all, err := cpio.ReadAllRecords(cpio.Newc.Reader(f))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]cpio.Record{}
	for _, r := range all {
		m[r.Name] = r
	}
	return m
}

func content(t *testing.T, r cpio.Record) string {
	t.Helper()
	b := make([]byte, r.FileSize)
	if _, err := r.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func build(t *testing.T, name string) string {
	t.Helper()
	host := filepath.Join(t.TempDir(), "host")
	if err := os.WriteFile(host, []byte("from the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := New()
	b.AddFile("/deep/er/file", host, 0o750)
	b.AddBytes("/etc/x", []byte("first"), 0o600)
	b.AddBytes("/etc/x", []byte("second"), 0o644)
	b.AddLink("/bin/sh", "busybox")
	out := filepath.Join(t.TempDir(), name)
	if err := b.WriteTo(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestArchive(t *testing.T) {
	r := unpack(t, build(t, "a"))
	for name, want := range map[string]string{"deep/er/file": "from the host", "etc/x": "second", "bin/sh": "busybox"} {
		if diff := cmp.Diff(want, content(t, r[name])); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, want := range map[string]uint64{
		"deep": cpio.S_IFDIR | 0o755, "deep/er": cpio.S_IFDIR | 0o755, "deep/er/file": cpio.S_IFREG | 0o750,
		"bin/sh": cpio.S_IFLNK | 0o777, "dev/console": cpio.S_IFCHR | 0o600, "proc": cpio.S_IFDIR | 0o755,
	} {
		if got := r[name].Mode; got != want {
			t.Errorf("%s has mode %o, not %o", name, got, want)
		}
	}
}

func TestArchiveIsReproducible(t *testing.T) {
	a, err := os.ReadFile(build(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(build(t, "b"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("two builds of the same differ (%d and %d bytes), %v", len(a), len(b), err)
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	b := New()
	b.AddFile("/x", "/no/such/file", 0o600)
	if err := b.WriteTo(filepath.Join(t.TempDir(), "a")); err == nil {
		t.Error("an archive of a file that does not exist")
	}
	if err := b.AddELF("/y", "/no/such/file"); err == nil {
		t.Error("a program that does not exist")
	}
}

// A dynamic program brings its interpreter and libraries, and those theirs.
func TestLibraries(t *testing.T) {
	files, err := Needs("/bin/ls", "/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"/bin/ls", "/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/libc.so.6",
		"/usr/lib/x86_64-linux-gnu/libselinux.so.1", "/usr/lib/x86_64-linux-gnu/libpcre2-8.so.0", // of libselinux
	} {
		if files[want] == "" {
			t.Errorf("no %s in %v", want, files)
		}
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if files, err := Needs("/s", script); err != nil || len(files) != 1 {
		t.Errorf("a script: %v, %v", files, err)
	}
	b := New()
	if err := b.addLib("libnowhere.so.9"); err == nil {
		t.Error("a library that does not exist")
	}
}
