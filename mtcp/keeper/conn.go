// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"lazystate/internal/sockaddr"
)

// Conn is a connection in a keeper's hands: a descriptor and nothing else. A
// net.Conn would have set its options anew, which the server's process has chosen,
// and this process's poller would be woken by every segment of the client's.
type Conn struct {
	fd            int
	local, remote netip.AddrPort // never IPv4 mapped into IPv6

	before *unix.Linger // while it is alone: as its process had it
}

// NewConn takes over a socket, unless there is an error. Whoever closes it makes
// sure that nobody uses it then.
func NewConn(fd int) (*Conn, error) {
	c := &Conn{fd: fd}
	var err error
	if c.local, c.remote, err = sockaddr.Ends(fd); err != nil {
		return nil, err
	}
	return c, nil
}

// KnownConn is NewConn of a socket whose ends are known.
func KnownConn(fd int, local, remote netip.AddrPort) *Conn {
	return &Conn{fd: fd, local: local, remote: remote}
}

// dupConn is NewConn of a duplicate.
func dupConn(f *os.File) (*Conn, error) {
	fd, err := dupFD(f)
	if err != nil {
		return nil, err
	}
	c, err := NewConn(fd)
	if err != nil {
		_ = unix.Close(fd)
	}
	return c, err
}

// Local and Remote are its ends.
func (c *Conn) Local() netip.AddrPort  { return c.local }
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Close closes the descriptor.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// FD is the descriptor, which stays Conn's.
func (c *Conn) FD() int { return c.fd }

// reset has Close send a RST.
func (c *Conn) reset() error {
	c.before = nil
	return c.linger(unix.Linger{Onoff: 1})
}

// SyscallConn implements syscall.Conn, for Control alone: nobody waits here.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return rawConn(c.fd), nil }

type rawConn int

func (fd rawConn) Control(f func(fd uintptr)) error { f(uintptr(fd)); return nil }
func (fd rawConn) Read(func(uintptr) bool) error    { return unix.EOPNOTSUPP }
func (fd rawConn) Write(func(uintptr) bool) error   { return unix.EOPNOTSUPP }
