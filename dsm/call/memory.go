// SPDX-License-Identifier: Apache-2.0

package call

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	uffdIocNew       = 0xaa00 // USERFAULTFD_IOC_NEW, linux/userfaultfd.h
	uffdUserModeOnly = 1      // UFFD_USER_MODE_ONLY
	fSetsig          = 10     // F_SETSIG, asm-generic/fcntl.h
)

// mapAt maps the region where all processes have it. A fork has no watched pages,
// so it does not get the region at all.
func mapAt(fd int, base, bytes uint64) ([]byte, error) {
	if bytes == 0 || bytes > 1<<46 || base > 1<<47-1-bytes {
		return nil, fmt.Errorf("a region of %d bytes at %#x", bytes, base)
	}
	at := unsafe.Add(unsafe.Pointer(nil), base)
	ptr, err := unix.MmapPtr(fd, 0, at, uintptr(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE)
	if err != nil {
		return nil, fmt.Errorf("map a region of %d bytes at %#x: %w", bytes, base, err)
	}
	region := unsafe.Slice((*byte)(ptr), bytes)
	if ptr != at {
		return nil, errors.Join(fmt.Errorf("a region for %#x was mapped at %p: Linux 4.17 is needed", base, ptr), unmap(region))
	}
	if err := unix.Madvise(region, unix.MADV_DONTFORK); err != nil {
		return nil, errors.Join(fmt.Errorf("keep the region from forks: %w", err), unmap(region))
	}
	return region, nil
}

func unmap(region []byte) error {
	if region == nil {
		return nil
	}
	return unix.MunmapPtr(unsafe.Pointer(&region[0]), uintptr(len(region)))
}

// newUffd makes a userfaultfd of this process: with the device one that sees the
// kernel's accesses too, as those of read(2) into the region.
func newUffd(device int) (int, error) {
	if device >= 0 {
		fd, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(device), uffdIocNew, unix.O_CLOEXEC)
		if e != 0 {
			return -1, fmt.Errorf("a userfaultfd of the device: %w", e)
		}
		return int(fd), nil
	}
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|uffdUserModeOnly, 0, 0)
	if e != 0 {
		return -1, fmt.Errorf("userfaultfd: %w", e)
	}
	return int(fd), nil
}

// leash has the kernel kill this process when the daemon is gone.
func (p *Program) leash() error { return p.async(unix.O_ASYNC) }

func (p *Program) unleash() error { return p.async(0) }

func (p *Program) async(flag int) error {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		set := func(cmd, arg int) {
			if _, err := unix.FcntlInt(fd, cmd, arg); err != nil && inner == nil {
				inner = fmt.Errorf("tie this process to the daemon: %w", err)
			}
		}
		set(unix.F_SETOWN, unix.Getpid())
		set(fSetsig, int(unix.SIGKILL))
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			inner = errors.Join(inner, err)
			return
		}
		set(unix.F_SETFL, flags&^unix.O_ASYNC|flag)
	})
	return errors.Join(err, inner)
}
