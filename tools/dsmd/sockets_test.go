// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Who is killed leaves the folder of its sockets; the next removes it, and no other.
func TestSocketsOfTheKilled(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	folder := func(name string, age time.Duration) string {
		dir := filepath.Join(tmp, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "program"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-age)
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	killed := folder(socketsPrefix+"killed", 2*begins)
	kept := []string{folder(socketsPrefix+"lives", 2*begins), folder(socketsPrefix+"begins", begins/2), folder("other", 2*begins)}
	lock, err := lockFolder(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	link := filepath.Join(tmp, socketsPrefix+"link")
	if err := os.Symlink(kept[2], link); err != nil {
		t.Fatal(err)
	}
	s, err := openSockets()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(killed); !os.IsNotExist(err) {
		t.Errorf("what was left is there: %v", err)
	}
	for _, dir := range append(kept, link) {
		if _, err := os.Stat(filepath.Join(dir, "program")); err != nil {
			t.Error(err)
		}
	}
	if f, err := lockFolder(s.dir); err == nil {
		f.Close()
		t.Error("a life's own folder is not locked")
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("after the life its folder is there: %v", err)
	}
}
