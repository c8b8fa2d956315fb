// SPDX-License-Identifier: Apache-2.0

package sockaddr

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What speaks to this host speaks from it.
func TestSource(t *testing.T) {
	lo := netip.MustParseAddr("127.0.0.1")
	if got, err := Source(netip.AddrPortFrom(lo, 9)); err != nil || got != lo {
		t.Errorf("%v, %v", got, err)
	}
}

// Both ends come back, those of an IPv4 connection as IPv4 from a socket of IPv6 too.
func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		family int
		listen string
		want   netip.Addr
	}{
		"IPv4":         {unix.AF_INET, "127.0.0.1", netip.MustParseAddr("127.0.0.1")},
		"IPv6":         {unix.AF_INET6, "::1", netip.MustParseAddr("::1")},
		"IPv4 in IPv6": {unix.AF_INET6, "::ffff:127.0.0.1", netip.MustParseAddr("127.0.0.1")},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", net.JoinHostPort(c.want.String(), "0"))
			if err != nil {
				t.Skip(err)
			}
			defer l.Close()
			port := l.Addr().(*net.TCPAddr).Port
			fd, err := unix.Socket(c.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			to := netip.AddrPortFrom(netip.MustParseAddr(c.listen), uint16(port))
			if err := unix.Connect(fd, Of(to)); err != nil {
				t.Fatal(err)
			}
			local, remote, err := Ends(fd)
			if err != nil || remote != netip.AddrPortFrom(c.want, uint16(port)) || local.Addr() != c.want || local.Port() == 0 {
				t.Errorf("%s, %s, %v", local, remote, err)
			}
			if f := Family(remote.Addr()); (f == unix.AF_INET) != c.want.Is4() {
				t.Errorf("family %d", f)
			}
			peer, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = peer.(*net.TCPConn).SetLinger(0)
			_ = peer.Close()
			for err := error(nil); err != unix.ENOTCONN; _, err = unix.Getpeername(fd) { // the RST is on its way
				time.Sleep(time.Millisecond)
			}
			wasLocal, wasRemote, err := Ends(fd)
			if err != nil || wasLocal != local || wasRemote != remote {
				t.Errorf("when it has ended: %s, %s, %v", wasLocal, wasRemote, err)
			}
		})
	}
}

// A socket of another kind, or one that is not connected, has none.
func TestNoEnds(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	defer unix.Close(pair[0])
	if _, _, err := Ends(pair[0]); !errors.Is(err, unix.EPROTOTYPE) {
		t.Errorf("of a UNIX socket: %v", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, _, err := Ends(fd); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("of none: %v", err)
	}
}
