// SPDX-License-Identifier: Apache-2.0

package cbox

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A page that is touched through a mapping costs a fault, and more when the mapping
// goes: as much as many system calls, above all in a virtual machine. Who keeps
// thousands of boxes that others use touches the first page of each, where all is that
// has to be waited for, and reads and writes the rest as a file. Memory of the module's
// cannot be read so.

// source is where snapshots are read while their process may go on exporting.
type source interface {
	number(off uint64) (uint64, error)
	read(off uint64, b []byte) error
}

func (m memory) number(off uint64) (uint64, error) { return m.word64(off).Load(), nil }

func (m memory) read(off uint64, b []byte) error {
	copy(b, m[off:])
	return nil
}

// mapped reports what is read and written through the mapping.
func (b *Box) mapped(off uint64, n int) bool { return b.device || off+uint64(n) <= pageSize }

// number need not be read in one: half of another is not there when it is read again.
func (b *Box) number(off uint64) (uint64, error) {
	if b.mapped(off, 8) {
		return b.m.number(off)
	}
	var word [8]byte
	err := b.read(off, word[:])
	return le.Uint64(word[:]), err
}

func (b *Box) read(off uint64, to []byte) error {
	if b.mapped(off, len(to)) {
		return b.m.read(off, to)
	}
	return b.all(off, to, unix.Pread, "read a box")
}

func (b *Box) write(off uint64, from []byte) error {
	if b.mapped(off, len(from)) {
		copy(b.m[off:], from)
		return nil
	}
	return b.all(off, from, unix.Pwrite, "write a box")
}

func (b *Box) all(off uint64, p []byte, call func(fd int, p []byte, off int64) (int, error), what string) error {
	for len(p) > 0 {
		n, err := ignoringEINTR(func() (int, error) { return call(int(b.region.File.Fd()), p, b.region.Offset+int64(off)) })
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		p, off = p[n:], off+uint64(n)
	}
	return nil
}
