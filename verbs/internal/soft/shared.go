// SPDX-License-Identifier: Apache-2.0

package soft

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/internal/memfd"
)

func pages(bytes int) int {
	page := unix.Getpagesize()
	return (bytes + page - 1) / page * page
}

// Shared returns a memfd of so many bytes, rounded up to pages, and maps it. Its
// size is sealed: who maps it too never meets a page that is not there.
func Shared(bytes int) (fd int, b []byte, err error) {
	size := pages(bytes)
	if fd, err = memfd.Sealed("verbs", int64(size)); err != nil {
		return -1, nil, err
	}
	if b, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		unix.Close(fd)
		return -1, nil, fmt.Errorf("map a memfd: %w", err)
	}
	return fd, b, nil
}
