// SPDX-License-Identifier: Apache-2.0

package memfd

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Sealed returns a memfd of size bytes, zeros, that can neither grow nor shrink.
// Its name is for /proc.
func Sealed(name string, size int64) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("size a memfd: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("seal a memfd: %w", err)
	}
	return fd, nil
}
