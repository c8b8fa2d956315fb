// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// memDisk is a file system in memory that can stop at any operation, fail at one,
// and forget what was not made safe.
type memDisk struct {
	root   *inode
	ops    int
	stopAt int // from this operation on nothing works: the process was killed
	failAt int // this operation alone fails
	noLink bool
	log    []string
}

// inode is a file or a folder, with what of it is safe.
type inode struct {
	dir     bool
	entries map[string]*inode
	safe    map[string]*inode
	changes []change // of the entries, since they were safe
	data    []byte
	sync    []byte
}

// change is a name that was given, or taken away, or passed on by a rename.
type change struct {
	drop, put string
	to        *inode
}

var (
	errStopped = errors.New("the process is dead")
	errFull    = syscall.ENOSPC
)

func newMemDisk() *memDisk { return &memDisk{root: newFolder(), stopAt: -1, failAt: -1} }

func newFolder() *inode {
	return &inode{dir: true, entries: map[string]*inode{}, safe: map[string]*inode{}}
}

// op counts one that changes something.
func (d *memDisk) op(what string) error {
	defer func() { d.ops++ }()
	d.log = append(d.log, what)
	switch {
	case d.stopAt >= 0 && d.ops >= d.stopAt:
		return errStopped
	case d.ops == d.failAt:
		return errFull
	}
	return nil
}

// find returns a path's folder, its last name and what that is, or nil.
func (d *memDisk) find(path string) (parent *inode, name string, n *inode) {
	if parent = d.root; path == "" {
		return parent, "", parent
	}
	names := strings.Split(strings.Trim(path, "/"), "/")
	for _, name := range names[:len(names)-1] {
		if parent = parent.entries[name]; parent == nil {
			return newFolder(), "", nil
		}
	}
	name = names[len(names)-1]
	return parent, name, parent.entries[name]
}

func (n *inode) apply(c change) {
	if c.drop != "" {
		delete(n.entries, c.drop)
	}
	if c.put != "" {
		n.entries[c.put] = c.to
	}
}

func (n *inode) change(c change) {
	n.changes = append(n.changes, c)
	n.apply(c)
}

func (d *memDisk) mkdir(path string) error {
	if err := d.op("mkdir " + path); err != nil {
		return err
	}
	parent, name, n := d.find(path)
	if n != nil {
		return fs.ErrExist
	}
	parent.change(change{put: name, to: newFolder()})
	return nil
}

func (d *memDisk) create(path string) (file, error) {
	if err := d.op("create " + path); err != nil {
		return nil, err
	}
	parent, name, n := d.find(path)
	if n != nil {
		return nil, fs.ErrExist
	}
	n = &inode{}
	parent.change(change{put: name, to: n})
	return &memFile{d, path, n}, nil
}

func (d *memDisk) open(path string) (file, error) {
	_, _, n := d.find(path)
	if n == nil || n.dir {
		return nil, fs.ErrNotExist
	}
	return &memFile{d, path, n}, nil
}

func (d *memDisk) link(from, to string) error {
	if err := d.op("link " + from + " " + to); err != nil {
		return err
	}
	_, _, n := d.find(from)
	parent, name, there := d.find(to)
	if n == nil || there != nil || d.noLink {
		return syscall.EPERM
	}
	parent.change(change{put: name, to: n})
	return nil
}

// rename is of two names of one folder.
func (d *memDisk) rename(from, to string) error {
	if err := d.op("rename " + from + " " + to); err != nil {
		return err
	}
	parent, name, n := d.find(from)
	_, target, there := d.find(to)
	switch {
	case n == nil:
		return fs.ErrNotExist
	case there != nil && there.dir && len(there.entries) > 0:
		return fs.ErrExist
	}
	parent.change(change{drop: name, put: target, to: n})
	return nil
}

func (d *memDisk) remove(path string) error {
	parent, name, n := d.find(path)
	switch {
	case n == nil:
		return fs.ErrNotExist
	case n.dir && len(n.entries) > 0:
		return syscall.ENOTEMPTY
	}
	if err := d.op("remove " + path); err != nil {
		return err
	}
	parent.change(change{drop: name})
	return nil
}

func (d *memDisk) names(path string) ([]string, error) {
	_, _, n := d.find(path)
	if n == nil || !n.dir {
		return nil, fs.ErrNotExist
	}
	var names []string
	for name := range n.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (d *memDisk) sync(path string) error {
	if err := d.op("sync " + path); err != nil {
		return err
	}
	_, _, n := d.find(path)
	n.settle()
	return nil
}

// settle makes a folder's entries safe.
func (n *inode) settle() { n.changes, n.safe = nil, maps.Clone(n.entries) }

func (d *memDisk) punch(path string, off, n int64) error {
	if err := d.op("punch " + path); err != nil {
		return err
	}
	_, _, node := d.find(path)
	clear(node.data[off : off+n])
	if int64(len(node.sync)) >= off+n {
		clear(node.sync[off : off+n])
	}
	return nil
}

type memFile struct {
	d    *memDisk
	path string
	n    *inode
}

func (f *memFile) Write(b []byte) (int, error) {
	err := f.d.op("write " + f.path)
	if err != nil {
		half := b[:len(b)/2]
		f.n.data = append(f.n.data, half...)
		return len(half), err
	}
	f.n.data = append(f.n.data, b...)
	return len(b), nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(f.n.data).ReadAt(b, off)
}

func (f *memFile) Size() (int64, error) { return int64(len(f.n.data)), nil }

func (f *memFile) Sync() error {
	if err := f.d.op("sync " + f.path); err != nil {
		return err
	}
	f.n.sync = bytes.Clone(f.n.data)
	return nil
}

func (f *memFile) Close() error { return nil }

// crash is the disk after the power was lost: of what was not safe some is there.
// A killed process alone loses nothing that it had written.
func (d *memDisk) crash(rng *rand.Rand, power bool) *memDisk {
	next := newMemDisk()
	next.noLink = d.noLink
	next.root = after(d.root, rng, power, map[*inode]*inode{})
	return next
}

func after(n *inode, rng *rand.Rand, power bool, seen map[*inode]*inode) *inode {
	if seen[n] != nil {
		return seen[n]
	}
	next := newFolder()
	seen[n] = next
	if !n.dir {
		next.dir = false
		next.data = bytes.Clone(n.data)
		if power {
			next.data = unsafeData(n, rng)
		}
		next.sync = next.data
		return next
	}
	left := &inode{entries: maps.Clone(n.safe)}
	ordered, upto := rng.IntN(2) == 0, rng.IntN(len(n.changes)+1)
	for i, c := range n.changes {
		if !power || ordered && i < upto || !ordered && rng.IntN(2) == 0 {
			left.apply(c)
		}
	}
	for name, e := range left.entries {
		next.entries[name] = after(e, rng, power, seen)
		next.safe[name] = next.entries[name]
	}
	return next
}

// unsafeData is what a file may have after a power failure.
func unsafeData(n *inode, rng *rand.Rand) []byte {
	if bytes.Equal(n.data, n.sync) {
		return bytes.Clone(n.data)
	}
	switch rng.IntN(4) {
	case 0:
		return bytes.Clone(n.sync)
	case 1:
		return bytes.Clone(n.data)
	case 2:
		return bytes.Clone(n.data[:rng.IntN(len(n.data)+1)])
	}
	b := bytes.Clone(n.data) // a block that was not written
	if len(b) > 0 {
		from := rng.IntN(len(b))
		clear(b[from:min(len(b), from+64)])
	}
	return b
}

// tree lists all files and folders.
func (d *memDisk) tree(path string) []string {
	names, err := d.names(path)
	if err != nil {
		return nil
	}
	var all []string
	for _, name := range names {
		all = append(all, filepath.Join(path, name))
		all = append(all, d.tree(filepath.Join(path, name))...)
	}
	return all
}

var _ io.ReaderAt = &memFile{}
