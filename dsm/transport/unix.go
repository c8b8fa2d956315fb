// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"lazystate/dsm/shelf"
	"lazystate/internal/memfd"
	"lazystate/internal/unixsock"
)

// offer is what a node gives and takes when rings are made: its own shelf (nil:
// none), and the way to open that of the other.
type offer struct {
	mine *shelf.Shelf
	open func(fd int) (*shelf.Reader, error)
}

func (o offer) fds() []int {
	if o.mine == nil {
		return nil
	}
	return []int{o.mine.FD()}
}

// share makes rings of a unix socket whose ends know each other: the dialer sends
// the memory, and the listener a byte when it has it. Each sends its shelf, too.
func share(s *socket, dialed bool, o offer) (*shared, error) {
	if !dialed {
		return s.receive(o)
	}
	fd, err := memfd.Sealed("dsm-link", ringTotal)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := s.sendFDs(append([]int{fd}, o.fds()...)); err != nil {
		return nil, err
	}
	fds, err := s.readFDs()
	defer unixsock.Close(fds)
	if err != nil {
		return nil, err
	}
	return o.shared(fd, fds, true, s)
}

// receive takes the memory that the dialer sends.
func (s *socket) receive(o offer) (*shared, error) {
	fds, err := s.readFDs()
	defer unixsock.Close(fds)
	if err != nil {
		return nil, err
	}
	if len(fds) == 0 {
		return nil, nonsense("no descriptor of a ring")
	}
	if err := memfd.Stays(fds[0], ringTotal); err != nil {
		return nil, nonsense("a ring: %v", err)
	}
	c, err := o.shared(fds[0], fds[1:], false, s)
	if err != nil {
		return nil, err
	}
	if err := s.sendFDs(o.fds()); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// shared maps the rings, and the other's shelf if it has sent one.
func (o offer) shared(ring int, fds []int, dialed bool, s *socket) (*shared, error) {
	var theirs *shelf.Reader
	switch {
	case len(fds) > 1:
		return nil, nonsense("%d descriptors too many", len(fds)-1)
	case len(fds) == 1 && o.open != nil:
		var err error
		if theirs, err = o.open(fds[0]); err != nil {
			return nil, nonsense("%v", err)
		}
	}
	return newShared(ring, dialed, s, theirs)
}

// sendFDs sends a byte, with descriptors or without.
func (s *socket) sendFDs(fds []int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, err := s.call("sendmsg", func() (int, error) {
		return unix.SendmsgN(s.fd, []byte{1}, oob, nil, unix.MSG_NOSIGNAL)
	})
	return err
}

// readFDs reads a byte and the descriptors that came with it, which are the caller's
// even with an error.
func (s *socket) readFDs() (fds []int, err error) {
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4*4))
	n, err := s.call("recvmsg", func() (int, error) {
		n, oobn, flags, _, err := unix.Recvmsg(s.fd, b[:], oob, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return 0, err
		}
		if fds, err = unixsock.Rights(oob[:oobn]); err == nil && flags&unix.MSG_CTRUNC != 0 {
			err = nonsense("more descriptors than two")
		}
		return n, err
	})
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	return fds, err
}

// onUnix is true for a socket that can pass descriptors.
func (s *socket) onUnix() (bool, error) {
	domain, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return false, fmt.Errorf("what kind of socket it is: %w", err)
	}
	return domain == unix.AF_UNIX, nil
}
