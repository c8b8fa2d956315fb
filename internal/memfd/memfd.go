// SPDX-License-Identifier: Apache-2.0

package memfd

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Sealed returns a memfd of size bytes, zeros, that can neither grow nor shrink.
// Its name is for /proc.
func Sealed(name string, size int64) (fd int, err error) {
	if fd, err = unsealed(name, size); err != nil {
		return -1, err
	}
	if err := seal(fd, 0); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func unsealed(name string, size int64) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("size a memfd: %w", err)
	}
	return fd, nil
}

// seal has a memfd keep its size, and more, for good.
func seal(fd, more int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL|more); err != nil {
		return fmt.Errorf("seal a memfd: %w", err)
	}
	return nil
}

// Shown is Sealed, and mapped: who makes it writes it there, and whoever has the
// descriptor can only read.
func Shown(name string, size int) (fd int, mem []byte, err error) {
	if fd, err = unsealed(name, int64(size)); err != nil {
		return -1, nil, err
	}
	if mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		unix.Close(fd)
		return -1, nil, fmt.Errorf("map a memfd of %d bytes: %w", size, err)
	}
	if err := seal(fd, unix.F_SEAL_FUTURE_WRITE); err != nil {
		return -1, nil, errors.Join(err, unix.Munmap(mem), unix.Close(fd))
	}
	return fd, mem, nil
}

// Stays is nil for a descriptor that somebody else has sent, if mapping size bytes of
// it is safe: it is a memfd of that size, which cannot be cut, and not of huge pages,
// of which there may be none left when one is touched.
func Stays(fd int, size int64) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return os.NewSyscallError("fstatfs", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	switch {
	case err != nil || fs.Type != unix.TMPFS_MAGIC:
		return fmt.Errorf("it is no memfd of ordinary pages (file system %#x)", fs.Type)
	case seals&unix.F_SEAL_SHRINK == 0 || st.Size != size:
		return fmt.Errorf("it has %d bytes and seals %#x, not %d that stay", st.Size, seals, size)
	}
	return nil
}
