// SPDX-License-Identifier: Apache-2.0

package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lazystate/dsm"
)

// onDisk is a node whose store is in a real folder.
func onDisk(t *testing.T, dir string) *node {
	n := newNode(t, 2)
	s, err := Open(testConfig, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	n.s = s
	return n
}

func (n *node) reborn() {
	n.t.Helper()
	inc, past, err := n.s.Begin()
	if err != nil {
		n.t.Fatal(err)
	}
	n.inc = inc
	n.compare(past)
}

// saved lets it save a checkpoint of pages that changed since the last.
func (n *node) saved() {
	n.t.Helper()
	if err := n.save(); err != nil {
		n.t.Fatal(err)
	}
}

// A store in a real folder, from process to process.
func TestRealFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job", "node-1")
	n := onDisk(t, dir)
	for life := range 4 {
		n.reborn()
		if n.inc != uint32(life+1) {
			t.Errorf("incarnation %d in life %d", n.inc, life)
		}
		for range 5 {
			n.saved()
			n.collect()
		}
		if err := n.s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Open(testConfig, dir)
		if err != nil {
			t.Fatal(err)
		}
		n.s = s
	}
	n.s.Close()
}

// A folder has one process.
func TestFolderIsLocked(t *testing.T) {
	dir := t.TempDir()
	onDisk(t, dir)
	if _, err := Open(testConfig, dir); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second one opens it: %v", err)
	}
}

// A folder of another node, or of a cluster of another kind, is refused.
func TestFolderOfAnother(t *testing.T) {
	dir := t.TempDir()
	n := onDisk(t, dir)
	n.reborn()
	n.saved()
	n.s.Close()
	for _, change := range []func(*dsm.Config){
		func(c *dsm.Config) { c.Self = 0 }, func(c *dsm.Config) { c.Nodes = 4 },
		func(c *dsm.Config) { c.Pages = 13 }, func(c *dsm.Config) { c.PageSize = 128 },
	} {
		cfg := testConfig
		change(&cfg)
		if _, err := Open(cfg, dir); err == nil || !strings.Contains(err.Error(), "not of node") {
			t.Errorf("%+v opens it: %v", cfg, err)
		}
	}
}

// Without the window nobody knows which checkpoints count, nor which incarnation
// is next.
func TestWindowIsMissing(t *testing.T) {
	dir := t.TempDir()
	n := onDisk(t, dir)
	n.reborn()
	n.saved()
	n.s.Close()
	if err := os.Remove(filepath.Join(dir, windowName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testConfig, dir); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("%v", err)
	}
}

// Files that are not files, or have no end, are not read.
func TestHostileFiles(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"pipe":    func(path string) error { return unix.Mkfifo(path, 0o600) },
		"symlink": func(path string) error { return os.Symlink("/dev/zero", path) },
		"huge": func(path string) error {
			f, err := os.Create(path)
			if err == nil {
				err = f.Truncate(1 << 50)
				f.Close()
			}
			return err
		},
	} {
		for _, file := range []string{windowName, "ckpt-1/manifest", "ckpt-1/state", "ckpt-1/index", "ckpt-1/private", "ckpt-1/pages-1"} {
			dir := t.TempDir()
			n := onDisk(t, dir)
			n.reborn()
			for len(n.pages) < 5 {
				n.write()
			}
			n.saved()
			n.s.Close()
			path := filepath.Join(dir, file)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := make(path); err != nil {
				if name == "huge" {
					t.Skipf("no sparse file here: %v", err)
				}
				t.Fatal(err)
			}
			s, err := Open(testConfig, dir)
			if file == windowName {
				if err == nil {
					t.Errorf("%s is a %s", file, name)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s is a %s: %v", file, name, err)
			}
			_, past, err := s.Begin()
			if err != nil || past.State != nil || len(past.Damaged) == 0 {
				t.Errorf("%s is a %s: past %+v, %v", file, name, past, err)
			}
			s.Close()
		}
	}
}

// Pages that nobody wrote since are not written again, and what is kept takes no
// more than twice its room, but for the last checkpoint's.
func TestIncremental(t *testing.T) {
	n := newNode(t, 2, "a")
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	for len(n.pages) < testConfig.Pages {
		n.write()
	}
	n.saved()
	for range 200 {
		n.saved()
		c := n.s.folders[0].find(n.number)
		total, fresh := uint32(0), uint32(0)
		for _, s := range c.m.Segments {
			total += s.Pages
			if s.Number == c.number {
				fresh = s.Pages
			}
		}
		if total > 2*uint32(testConfig.Pages) {
			t.Fatalf("checkpoint %d: %+v", c.number, c.m.Segments)
		}
		if fresh > 9 { // 3 are changed at most; what lies in files of which less than half is used comes along
			t.Errorf("checkpoint %d writes %d pages", c.number, fresh)
		}
		for len(n.window) > 2 {
			n.s.Discard(n.window[0])
			n.window = n.window[1:]
		}
	}
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
}

// A discarded page's room is free, unless a newer checkpoint has it there.
func TestDiscardedPageGivesRoom(t *testing.T) {
	n := three(t, "a")
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	for _, p := range n.given[1].Pages {
		n.s.DiscardPage(1, p.Page)
	}
	if err := n.s.Close(); err != nil {
		t.Fatal(err)
	}
	zero := 0
	f := n.s.folders[0]
	for _, e := range f.find(1).entries {
		_, _, node := n.d.find("a/ckpt-1/pages-1")
		b := node.data[int(e.at.slot)*testConfig.PageSize:][:testConfig.PageSize]
		newer, _ := find(f.find(2).entries, e.page)
		switch free := len(strings.Trim(string(b), "\x00")) == 0; {
		case free && newer.at == e.at:
			t.Errorf("page %d is lost to checkpoint 2", e.page)
		case !free && newer.at != e.at:
			t.Errorf("page %d takes room", e.page)
		case free:
			zero++
		}
	}
	if zero == 0 {
		t.Error("no page was free")
	}
}
