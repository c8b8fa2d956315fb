// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lazystate/dsm/logs"
)

// three is a node with three checkpoints, each of which links to files of those
// before.
func three(t *testing.T, dirs ...string) *node {
	n := newNode(t, 2, dirs...)
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	for len(n.pages) < 10 {
		n.write()
	}
	for range 3 {
		if err := n.save(); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.s.Close(); err != nil {
		t.Fatal(err)
	}
	last := n.s.folders[0].find(3)
	if len(last.m.Segments) < 2 {
		t.Fatalf("checkpoint 3 has %v", last.m.Segments)
	}
	return n
}

// hurt is the node with another disk, on which f has done something.
func (n *node) hurt(f func(d *memDisk)) *node {
	other := *n
	other.d = n.d.crash(rand.New(rand.NewPCG(1, 1)), false)
	f(other.d)
	return &other
}

// reopen begins an incarnation and looks at each page that the window has. It
// returns the checkpoint that is the past, and how many pages cannot be read.
func (n *node) reopen() (past *Past, unreadable int, err error) {
	n.s = &Store{cfg: testConfig}
	if err := n.s.open(n.d, n.dirs); err != nil {
		return nil, 0, err
	}
	_, past, err = n.s.Begin()
	if err != nil {
		return nil, 0, err
	}
	if past.State != nil && !bytes.Equal(n.encoded(past.State), n.encoded(n.given[past.State.Number].State)) {
		n.t.Fatalf("checkpoint %d is not what was saved", past.State.Number)
	}
	for _, k := range past.Window {
		for p := range k.Pages {
			if _, err := n.s.Page(k.Number, p); err != nil {
				unreadable++
			} else {
				n.compareCopy(k.Number, p)
			}
		}
	}
	return past, unreadable, nil
}

func number(p *Past) uint32 {
	if p.State == nil {
		return 0
	}
	return p.State.Number
}

// files lists the regular files of a disk.
func (d *memDisk) files() []string {
	return slices.DeleteFunc(d.tree(""), func(path string) bool { _, _, n := d.find(path); return n.dir })
}

// A byte that is wrong, anywhere, is found, or it is one that nobody uses. What is
// restored is what was saved then.
func TestEveryByteWrong(t *testing.T) {
	n := three(t, "a")
	older, refused := 0, 0
	for _, path := range n.d.files() {
		_, _, f := n.d.find(path)
		for at := range f.data {
			hurt := n.hurt(func(d *memDisk) { _, _, f := d.find(path); f.data[at] ^= 1 << (at % 8) })
			past, unreadable, err := hurt.reopen()
			switch {
			case filepath.Base(path) == windowName:
				if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), windowName) {
					t.Fatalf("byte %d of %s: %v", at, path, err)
				}
				refused++
			case err != nil:
				t.Fatalf("byte %d of %s: %v", at, path, err)
			case number(past) < 3:
				if len(past.Damaged) == 0 {
					t.Fatalf("byte %d of %s: checkpoint %d, and no word", at, path, number(past))
				}
				older++
			case strings.HasPrefix(path, "a/ckpt-3/") && !strings.Contains(path, "pages-"):
				t.Fatalf("byte %d of %s is not missed", at, path)
			case unreadable == 0 && len(past.Damaged) == 0 && !strings.Contains(path, "pages-") && !strings.HasSuffix(path, stateName) && !strings.HasSuffix(path, privateName):
				t.Fatalf("byte %d of %s is not missed", at, path)
			}
		}
	}
	if older < 1000 || refused < 100 {
		t.Errorf("%d times an older one, %d times refused", older, refused)
	}
}

// The same with files that are cut, longer, missing, or not files.
func TestEveryFileDamaged(t *testing.T) {
	n := three(t, "a")
	for _, path := range n.d.files() {
		for what, f := range map[string]func(d *memDisk){
			"cut":     func(d *memDisk) { _, _, f := d.find(path); f.data = f.data[:len(f.data)-1] },
			"empty":   func(d *memDisk) { _, _, f := d.find(path); f.data = nil },
			"longer":  func(d *memDisk) { _, _, f := d.find(path); f.data = append(f.data, 0) },
			"missing": func(d *memDisk) { dir, name, _ := d.find(path); delete(dir.entries, name) },
			"folder":  func(d *memDisk) { dir, name, _ := d.find(path); dir.entries[name] = newFolder() },
		} {
			past, _, err := n.hurt(f).reopen()
			switch {
			case filepath.Base(path) == windowName:
				if err == nil || !strings.Contains(err.Error(), windowName) {
					t.Errorf("%s is %s: %v", path, what, err)
				}
			case err != nil:
				t.Errorf("%s is %s: %v", path, what, err)
			case strings.HasPrefix(path, "a/ckpt-3/") && (number(past) == 3 || len(past.Damaged) == 0):
				t.Errorf("%s is %s, and the past is checkpoint %d, damaged %v", path, what, number(past), past.Damaged)
			}
		}
	}
}

// An older checkpoint that cannot be read stays in the window. A copy of a page is
// looked for there and not found: it is not taken from before.
func TestDamagedStaysInTheWindow(t *testing.T) {
	n := three(t, "a").hurt(func(d *memDisk) { _, _, f := d.find("a/ckpt-2/index"); f.data[20] ^= 1 })
	past, unreadable, err := n.reopen()
	if err != nil || number(past) != 3 || len(past.Damaged) != 1 || len(past.Window) != 3 || unreadable != testConfig.Pages {
		t.Fatalf("checkpoint %d, damaged %v, window %d, %d unreadable, %v", number(past), past.Damaged, len(past.Window), unreadable, err)
	}
	w := logs.Window(past.Window)
	t2 := n.given[2].V
	if number, _, ok := w.Copy(0, t2, false); !ok || number != 2 {
		t.Errorf("a copy is looked for in checkpoint %d", number)
	}
	if gone := w.Collect(n.given[1].V); len(gone) > 0 {
		t.Errorf("%v are discarded, and checkpoint 1 is needed", gone)
	}
}

// The next checkpoint of a number takes the place of the damaged one.
func TestDamagedIsReplaced(t *testing.T) {
	n := three(t, "a").hurt(func(d *memDisk) { _, _, f := d.find("a/ckpt-3/private"); f.data[2] ^= 1 })
	past, _, err := n.reopen()
	if err != nil || number(past) != 2 {
		t.Fatalf("checkpoint %d, %v", number(past), err)
	}
	if names, _ := n.d.names("a"); !slices.Contains(names, "damaged-3") {
		t.Errorf("there are %v", names)
	}
	n.number, n.window = 2, []uint32{1, 2}
	if err := n.save(); err != nil {
		t.Fatal(err)
	}
	if err := n.begin(); err != nil || n.number != 3 {
		t.Errorf("checkpoint %d, %v", n.number, err)
	}
}

// What is damaged in one folder is had from another, and is whole in both then.
func TestCopiesMend(t *testing.T) {
	n := three(t, "a", "b")
	for _, path := range n.d.files() {
		if filepath.Base(path) == windowName {
			continue
		}
		hurt := n.hurt(func(d *memDisk) { _, _, f := d.find(path); f.data[len(f.data)/2] ^= 1 })
		if past, unreadable, err := hurt.reopen(); err != nil || number(past) != 3 || unreadable > 0 {
			t.Fatalf("%s: checkpoint %d, %d pages unreadable, %v", path, number(past), unreadable, err)
		}
		for _, dir := range []string{"a", "b"} {
			alone := hurt.hurt(func(*memDisk) {})
			alone.dirs = []string{dir}
			if err := alone.begin(); err != nil {
				t.Fatalf("%s, then %s alone: %v", path, dir, err)
			}
		}
	}
}

// A folder that is empty, or was not there for some incarnations, gets what the
// others have; what it has itself does not count.
func TestFolderIsBehind(t *testing.T) {
	n := three(t, "a", "b")
	b := n.d.crash(n.rng, false)
	n.dirs = []string{"a"}
	for range 3 {
		if err := n.live(2); err != nil {
			t.Fatal(err)
		}
	}
	for _, with := range []*inode{newFolder(), b.root.entries["b"]} {
		n.d.root.entries["b"] = with
		n.dirs = []string{"b", "a"}
		if err := n.live(1); err != nil {
			t.Fatal(err)
		}
		n.dirs = []string{"b"}
		if err := n.live(1); err != nil {
			t.Fatal(err)
		}
		n.dirs = []string{"a", "b"}
		if err := n.live(1); err != nil {
			t.Fatal(err)
		}
	}
}

// A checkpoint of an incarnation that lives on where it should not is no past of
// the one after, and it may save no more.
func TestSuperseded(t *testing.T) {
	n := three(t, "a")
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	old := *n
	n.s = nil
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	if err := old.save(); !errors.Is(err, ErrSuperseded) {
		t.Errorf("an old incarnation saves: %v", err)
	}
	f := old.s.folders[0] // it had looked before, and the other came between
	n.given[4] = n.state()
	img, err := encode(f.c, n.given[4].State, nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.write("a/new-4", img)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.publish(c, "a/new-4"); !errors.Is(err, ErrSuperseded) {
		t.Errorf("it publishes: %v", err)
	}
	if err := f.d.rename("a/new-4", "a/ckpt-4"); err != nil { // it was lost in the midst
		c, _ = f.write("a/new-4", img)
		if err := f.d.rename("a/new-4", "a/ckpt-4"); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.begin(); err != nil || n.number != 3 {
		t.Errorf("the past is checkpoint %d of incarnation %d, %v", n.number, c.m.Incarnation, err)
	}
}
