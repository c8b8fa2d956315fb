// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func pages(bytes int) int {
	page := unix.Getpagesize()
	return (bytes + page - 1) / page * page
}

// Shared returns a memfd of so many bytes, rounded up to pages, and maps it. Its
// size is sealed: who maps it too never meets a page that is not there.
func Shared(bytes int) (fd int, b []byte, err error) {
	fd, err = unix.MemfdCreate("verbs", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, nil, fmt.Errorf("memfd_create: %w", err)
	}
	if b, err = mapSealed(fd, pages(bytes)); err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, b, nil
}

func mapSealed(fd, size int) ([]byte, error) {
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, fmt.Errorf("size a memfd: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return nil, fmt.Errorf("seal a memfd: %w", err)
	}
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map a memfd: %w", err)
	}
	return b, nil
}
