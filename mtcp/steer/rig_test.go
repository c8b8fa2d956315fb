// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lazystate/internal/netrig"
	"lazystate/internal/seqnum"
	"lazystate/internal/sockaddr"
	"lazystate/tools/lab"
)

// hang is how long a test waits for what must come.
const hang = 2 * time.Minute

// net3 is a client and two servers on one network.
type net3 struct{ client, s1, s2 *netrig.Host }

var (
	clientV4, s1V4, s2V4 = netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")
	clientV6, s1V6, s2V6 = netip.MustParseAddr("fd09::1"), netip.MustParseAddr("fd09::2"), netip.MustParseAddr("fd09::3")
)

// usable skips where there can be no network or no programs for it.
func usable(t testing.TB) {
	t.Helper()
	if err := errors.Join(netrig.Usable(), Probe()); err != nil {
		lab.Skip(t, err.Error())
	}
}

func newNet3(t testing.TB) net3 {
	t.Helper()
	usable(t)
	r := netrig.New(t, "client", "s1", "s2")
	n := net3{r.Host("client"), r.Host("s1"), r.Host("s2")}
	for i, h := range []*netrig.Host{n.client, n.s1, n.s2} {
		h.Addr(fmt.Sprintf("10.9.0.%d/24", i+1))
		h.Addr(fmt.Sprintf("fd09::%d/64", i+1))
	}
	return n
}

// half is one end of a connection that is made without a handshake.
type half struct {
	local, remote netip.AddrPort
	snd, rcv      seqnum.Value // the next byte's
}

// plant makes an ESTABLISHED socket out of nothing.
func plant(t testing.TB, h *netrig.Host, e half) *net.TCPConn {
	t.Helper()
	var c *net.TCPConn
	h.Do(func() error {
		local := sockaddr.Of(e.local)
		fd, err := unix.Socket(sockaddr.Family(e.local.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "planted")
		defer f.Close()
		if err := repair(fd, e, local); err != nil {
			return err
		}
		conn, err := net.FileConn(f)
		if err != nil {
			return err
		}
		c = conn.(*net.TCPConn)
		return c.SetDeadline(time.Now().Add(hang))
	})
	t.Cleanup(func() { c.Close() })
	return c
}

func repair(fd int, e half, local unix.Sockaddr) error {
	remote := sockaddr.Of(e.remote)
	set := func(opt, v int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, opt, v) }
	err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		set(unix.TCP_REPAIR, 1),
		set(unix.TCP_REPAIR_QUEUE, 1), set(unix.TCP_QUEUE_SEQ, int(int32(e.rcv))), // received
		set(unix.TCP_REPAIR_QUEUE, 2), set(unix.TCP_QUEUE_SEQ, int(int32(e.snd))), // to send
		set(unix.TCP_MAXSEG, 1400),
		unix.Bind(fd, local), unix.Connect(fd, remote))
	if err != nil {
		return err
	}
	opts := []byte{4, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7, 0, 7, 0} // SACK; both windows scaled by 7
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_OPTIONS, string(opts)); err != nil {
		return err
	}
	// A segment of a window that was never heard is no news for the kernel.
	window := []uint32{uint32(e.rcv), 1 << 16, 1 << 16, 1 << 16, uint32(e.rcv)} // snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_WINDOW, string(unsafe.Slice((*byte)(unsafe.Pointer(&window[0])), 20))); err != nil {
		return err
	}
	return set(unix.TCP_REPAIR, -1) // without a window probe
}
