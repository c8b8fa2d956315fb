// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/u-root/u-root/pkg/cpio"
)

// Builder collects the entries of an archive; a later entry of the same path
// replaces an earlier one.
type Builder struct {
	entries map[string]entry
	libDirs []string // of unpacked packages, searched after the host's
}

type entry struct {
	mode    uint64 // with the file type
	host    string // file with the content, if any
	content []byte // or the content itself
	major   uint64
	minor   uint64
}

// New returns a Builder that has the folders and the console every guest needs.
func New() *Builder {
	b := &Builder{entries: map[string]entry{}}
	for _, d := range []string{"/dev", "/proc", "/sys", "/tmp", "/run", "/root", "/etc", "/bin", "/usr/bin", "/var/log"} {
		b.AddDir(d, 0o755)
	}
	b.add("/dev/console", entry{mode: cpio.S_IFCHR | 0o600, major: 5, minor: 1})
	return b
}

func (b *Builder) add(guest string, e entry) {
	guest = path.Clean("/" + guest)
	for dir := path.Dir(guest); dir != "/"; dir = path.Dir(dir) {
		if _, ok := b.entries[dir]; !ok {
			b.entries[dir] = entry{mode: cpio.S_IFDIR | 0o755}
		}
	}
	b.entries[guest] = e
}

// Has reports whether the guest path is taken.
func (b *Builder) Has(guest string) bool {
	_, ok := b.entries[path.Clean("/"+guest)]
	return ok
}

// AddDir adds a folder.
func (b *Builder) AddDir(guest string, perm os.FileMode) {
	b.add(guest, entry{mode: cpio.S_IFDIR | uint64(perm.Perm())})
}

// AddBytes adds a file with this content.
func (b *Builder) AddBytes(guest string, content []byte, perm os.FileMode) {
	b.add(guest, entry{mode: cpio.S_IFREG | uint64(perm.Perm()), content: content})
}

// AddFile adds a file of the host as it is; it is read by WriteTo.
func (b *Builder) AddFile(guest, host string, perm os.FileMode) {
	b.add(guest, entry{mode: cpio.S_IFREG | uint64(perm.Perm()), host: host})
}

// AddLink adds a symbolic link.
func (b *Builder) AddLink(guest, target string) {
	b.add(guest, entry{mode: cpio.S_IFLNK | 0o777, content: []byte(target)})
}

// WriteTo writes the archive, in the order of the paths and without times, so
// that the same input gives the same bytes.
func (b *Builder) WriteTo(file string) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	out := bufio.NewWriterSize(f, 1<<20)
	if err := b.write(out); err != nil {
		return err
	}
	return out.Flush()
}

func (b *Builder) write(out io.Writer) error {
	w := cpio.Newc.Writer(out)
	for i, guest := range slices.Sorted(maps.Keys(b.entries)) {
		r, err := b.entries[guest].record(guest[1:], uint64(i+1))
		if err != nil {
			return fmt.Errorf("initramfs %s: %w", guest, err)
		}
		if err := w.WriteRecord(r); err != nil {
			return fmt.Errorf("initramfs %s: %w", guest, err)
		}
	}
	return cpio.WriteTrailer(w)
}

func (e entry) record(name string, ino uint64) (cpio.Record, error) {
	content := e.content
	if e.host != "" {
		b, err := os.ReadFile(e.host)
		if err != nil {
			return cpio.Record{}, err
		}
		content = b
	}
	r := cpio.StaticRecord(content, cpio.Info{Ino: ino, Mode: e.mode, NLink: 1, Name: name, FileSize: uint64(len(content)), Rmajor: e.major, Rminor: e.minor})
	return r, nil
}
