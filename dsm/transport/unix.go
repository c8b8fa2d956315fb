// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lazystate/internal/memfd"
	"lazystate/internal/unixsock"
)

// share makes rings of a unix socket whose ends know each other: the dialer sends
// the memory, and the listener a byte when it has it.
func share(s *socket, dialed bool) (*shared, error) {
	if !dialed {
		return s.receive()
	}
	fd, err := memfd.Sealed("dsm-link", ringTotal)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	_, err = s.call("sendmsg", func() (int, error) {
		return unix.SendmsgN(s.fd, []byte{1}, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
	})
	if err != nil {
		return nil, err
	}
	var b [1]byte
	if _, err := s.Read(b[:]); err != nil {
		return nil, err
	}
	return newShared(fd, true, s)
}

// receive takes the memory that the dialer sends.
func (s *socket) receive() (*shared, error) {
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4*4))
	var fds []int
	n, err := s.call("recvmsg", func() (int, error) {
		n, oobn, flags, _, err := unix.Recvmsg(s.fd, b[:], oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return 0, err
		}
		if fds, err = unixsock.Rights(oob[:oobn]); err == nil && flags&unix.MSG_CTRUNC != 0 {
			err = errors.New("more descriptors than one")
		}
		return n, err
	})
	defer func() { unixsock.Close(fds) }()
	if err != nil {
		return nil, err
	}
	if n != 1 || len(fds) != 1 {
		return nil, nonsense("%d bytes and %d descriptors for a ring", n, len(fds))
	}
	if err := sized(fds[0]); err != nil {
		return nil, err
	}
	c, err := newShared(fds[0], false, s)
	if err != nil {
		return nil, err
	}
	if _, err := s.Write(b[:]); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// sized is nil for memory that is as large as it must be, and stays so.
func sized(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	switch {
	case err != nil:
		return nonsense("a ring that is no memfd: %v", err)
	case seals&unix.F_SEAL_SHRINK == 0 || st.Size != ringTotal:
		return nonsense("a ring of %d bytes with seals %#x", st.Size, seals)
	}
	return nil
}

// onUnix is true for a socket that can pass descriptors.
func (s *socket) onUnix() (bool, error) {
	domain, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return false, fmt.Errorf("what kind of socket it is: %w", err)
	}
	return domain == unix.AF_UNIX, nil
}
