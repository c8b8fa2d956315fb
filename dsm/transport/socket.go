// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conduit is a stream of bytes both ways. Read and Write wait; Close wakes up who
// waits and may be called at any time.
type conduit interface {
	io.ReadWriteCloser
	// TryWrite writes what goes without waiting.
	TryWrite(b []byte) (int, error)
}

// pulse is a conduit that knows when something last came.
type pulse struct {
	conduit
	now  func() time.Duration
	last atomic.Int64
}

func (p *pulse) Read(b []byte) (int, error) {
	n, err := p.conduit.Read(b)
	if n > 0 {
		p.last.Store(int64(p.now()))
	}
	return n, err
}

// idle is how long nothing has come.
func (p *pulse) idle() time.Duration { return p.now() - time.Duration(p.last.Load()) }

// socket is a blocking one, apart from Go's poller.
type socket struct {
	fd     int
	mu     sync.RWMutex // held by who is in a call
	closed bool
}

// take makes a socket of a connection of package net, which is closed.
func take(c net.Conn) (*socket, error) {
	defer c.Close()
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T has no descriptor", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	bad := raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) })
	if bad != nil {
		return nil, bad
	}
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &socket{fd: fd}, nil
}

// call does a system call, again if a signal came between.
func (s *socket) call(name string, f func() (int, error)) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	for {
		n, err := f()
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return max(n, 0), os.ErrDeadlineExceeded
		default:
			return max(n, 0), os.NewSyscallError(name, err)
		}
	}
}

func (s *socket) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, err := s.call("read", func() (int, error) { return unix.Read(s.fd, b) })
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

func (s *socket) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := s.call("write", func() (int, error) { return unix.SendmsgN(s.fd, b[done:], nil, nil, unix.MSG_NOSIGNAL) })
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

func (s *socket) TryWrite(b []byte) (int, error) {
	n, err := s.call("write", func() (int, error) {
		return unix.SendmsgN(s.fd, b, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	})
	if err == os.ErrDeadlineExceeded {
		err = nil
	}
	return n, err
}

// Close shuts the connection, so that calls end, and then the descriptor: its number
// may be another's right after.
func (s *socket) Close() error {
	s.mu.RLock()
	if !s.closed {
		_ = unix.Shutdown(s.fd, unix.SHUT_RDWR)
	}
	s.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return unix.Close(s.fd)
}
