// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Stack is the TCP of a network namespace. It may be used by several
// goroutines, each on a thread of that namespace.
type Stack struct {
	defaults [2]*Options   // of a fresh socket: IPv4, IPv6; nil where there is no such family
	scratch  sync.Pool     // *[]byte, to read send queues into
	nothing  *ebpf.Program // nil without CAP_BPF: then a filter is compiled for each socket
	raw      rawSockets
	wait     time.Duration // for memory
}

// Open probes what the kernel can do here. The error is ErrPermission or a
// *LacksError.
func Open() (*Stack, error) {
	s := &Stack{raw: rawSockets{-1, -1}, wait: memoryWait}
	s.scratch.New = func() any { b := make([]byte, 1<<18); return &b }
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		o, err := probe(family)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("probe TCP_REPAIR: %w", err)
		}
		s.defaults[i] = o
	}
	s.nothing = loadNothing()
	s.raw.open()
	return s, nil
}

// Close gives up what Open opened. Sockets stay as they are.
func (s *Stack) Close() {
	s.raw.close()
	if s.nothing != nil {
		s.nothing.Close()
	}
}

// probe tries what repair needs on a socket of its own and reads its defaults.
func probe(family int) (*Options, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	o := &Options{}
	if err := o.read(fd, family == unix.AF_INET6); err != nil {
		return nil, err
	}
	if err := setInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, unix.TCP_REPAIR_ON, "TCP_REPAIR"); err != nil {
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("%w without CAP_NET_ADMIN: %w", ErrPermission, err)
		}
		return nil, &LacksError{"TCP_REPAIR", "3.5", err}
	}
	if _, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_TIMESTAMP); err != nil {
		return nil, &LacksError{"TCP_TIMESTAMP", "3.9", os.NewSyscallError("getsockopt", err)}
	}
	if _, err := readWindow(fd); err != nil {
		return nil, &LacksError{"TCP_REPAIR_WINDOW", "4.8", err}
	}
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK); err != nil {
		return nil, &LacksError{"SO_BUF_LOCK", "5.14", os.NewSyscallError("getsockopt", err)}
	}
	return o, nil
}

func setInt(fd, level, name, val int, what string) error {
	if err := unix.SetsockoptInt(fd, level, name, val); err != nil {
		return fmt.Errorf("set %s to %d: %w", what, val, err)
	}
	return nil
}

func getInt(fd, level, name int, what string) (int, error) {
	v, err := getsockopt(fd, level, name)
	if err != nil {
		return 0, fmt.Errorf("get %s: %w", what, err)
	}
	return int(v), nil
}
