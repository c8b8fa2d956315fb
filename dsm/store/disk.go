// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is what a store does with files. Tests have one that fails, stops or
// forgets what was not made safe.
type disk interface {
	mkdir(path string) error
	create(path string) (file, error) // a new one, to write
	open(path string) (file, error)   // to read
	link(from, to string) error
	rename(from, to string) error
	remove(path string) error // a file, or a folder that is empty
	names(path string) ([]string, error)
	sync(path string) error // a folder's entries
	punch(path string, off, n int64) error
}

type file interface {
	io.Writer
	io.ReaderAt
	Size() (int64, error)
	Sync() error
	Close() error
}

// osDisk is the real one.
type osDisk struct{}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (osDisk) mkdir(path string) error { return os.Mkdir(path, 0o700) }

func (osDisk) create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// open takes regular files alone: a pipe would have it wait, a device never end.
func (osDisk) open(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(fmt.Errorf("%s is not a regular file", path), err)
	}
	return osFile{f}, nil
}

func (osDisk) link(from, to string) error   { return os.Link(from, to) }
func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }

func (osDisk) names(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (osDisk) sync(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osDisk) punch(path string, off, n int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	return errors.Join(err, f.Close())
}

// write makes a file of what fill writes, safely.
func write(d disk, path string, fill func(io.Writer) error) error {
	f, err := d.create(path)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// read returns a file, if it has no more than so many bytes.
func read(d disk, path string, most int64) ([]byte, error) {
	f, err := d.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are expected", path, size, most)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// replace makes a file that is there, or not, one of these bytes: whoever looks
// finds the old or the new one.
func replace(d disk, path string, b []byte) error {
	next := path + ".new"
	if err := removeAll(d, next); err != nil {
		return err
	}
	err := write(d, next, func(w io.Writer) error { _, err := w.Write(b); return err })
	if err == nil {
		err = d.rename(next, path)
	}
	if err == nil {
		err = d.sync(filepath.Dir(path))
	}
	return err
}

// removeAll removes a file, or a folder of files. It is no error that there is none.
func removeAll(d disk, path string) error {
	err := d.remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if bad := empty(d, path); bad != nil {
		return errors.Join(err, bad)
	}
	return d.remove(path)
}

// empty removes what is in a folder. It is no error that there is none.
func empty(d disk, path string) error {
	names, err := d.names(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if err := d.remove(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return err
}
