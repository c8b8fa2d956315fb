// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// backlog is as many clients as the kernel lets wait.
const backlog = 1<<16 - 1

// errTaken ends a Listen of which the socket has been taken.
var errTaken = errors.New("the socket has been taken")

// bound returns a socket that is bound as net.Listen would, and does not listen yet.
// net does both at once, so its socket is taken from it before, made for the address
// and with the options that net gives to all.
func bound(ctx context.Context, network, address string) (*os.File, error) {
	var f *os.File
	lc := net.ListenConfig{Control: func(network, address string, raw syscall.RawConn) (err error) {
		if failed := raw.Control(func(fd uintptr) { f, err = bindDup(int(fd), network, address) }); failed != nil {
			return failed
		}
		if err == nil {
			err = errTaken
		}
		return err
	}}
	lc.SetMultipathTCP(false) // see cbox.Listen
	_, err := lc.Listen(ctx, network, address)
	if errors.Is(err, errTaken) {
		return f, nil
	}
	return nil, err
}

// bindDup binds a duplicate of a socket to an address as a Control function is told it.
func bindDup(fd int, network, address string) (*os.File, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, net.UnknownNetworkError(network)
	}
	a, err := net.ResolveTCPAddr("tcp", address) // has been resolved
	if err != nil {
		return nil, err
	}
	sa, err := listenAddr(network, a)
	if err != nil {
		return nil, err
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	if err := unix.Bind(own, sa); err != nil {
		_ = unix.Close(own)
		return nil, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(own), address), nil
}

// listenAddr is of the family that a network's last letter names. The wildcard of IPv4
// on a socket of IPv6 is all of both.
func listenAddr(network string, a *net.TCPAddr) (unix.Sockaddr, error) {
	if strings.HasSuffix(network, "4") {
		sa := &unix.SockaddrInet4{Port: a.Port}
		copy(sa.Addr[:], a.IP.To4())
		return sa, nil
	}
	sa := &unix.SockaddrInet6{Port: a.Port}
	if !a.IP.IsUnspecified() {
		copy(sa.Addr[:], a.IP.To16())
	}
	if a.Zone == "" {
		return sa, nil
	}
	index, err := strconv.Atoi(a.Zone)
	if ifc, failed := net.InterfaceByName(a.Zone); failed == nil {
		index, err = ifc.Index, nil
	}
	sa.ZoneId = uint32(index)
	return sa, err
}

// fresh makes a listening socket. The keeper has it before it listens: a client that is
// in its queue does not end with this process.
func (c *Client) fresh(ctx context.Context, network, address string) (*net.TCPListener, error) {
	f, err := bound(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	told := c.outlive(f)
	older := errors.Is(told, unix.EPROTOTYPE) // a keeper of an older release has those alone that listen
	if told != nil && !older {
		return nil, told
	}
	if err := startListening(f); err != nil {
		return nil, err
	}
	if older {
		if err := c.outlive(f); err != nil {
			return nil, err
		}
	}
	return tcpListener(f)
}

// startListening has a bound socket listen, unless it does.
func startListening(f syscall.Conn) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) {
		var does int
		if does, inner = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN); inner == nil && does == 0 {
			inner = unix.Listen(int(fd), backlog)
		}
	}); err != nil {
		return err
	}
	return os.NewSyscallError("listen", inner)
}

func tcpListener(f *os.File) (*net.TCPListener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		_ = l.Close()
		return nil, unix.EPROTOTYPE
	}
	return t, nil
}
