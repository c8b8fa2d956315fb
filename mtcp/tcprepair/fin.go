// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/sockaddr"
	"lazystate/mtcp"
	"lazystate/mtcp/wire"
)

// walk repeats what takes the socket from ESTABLISHED into its state.
func (r *Restored) walk() error {
	path, err := r.dump.State.Path()
	if err != nil {
		return err
	}
	for _, e := range path {
		switch e {
		case mtcp.Shut:
			err = r.shut(unix.SHUT_WR)
		case mtcp.FinArrived:
			err = r.finArrives()
		}
		if err != nil {
			return fmt.Errorf("into %s, %s: %w", r.dump.State, e, err)
		}
	}
	if r.dump.Options.ShutRead {
		return r.shut(unix.SHUT_RD)
	}
	return nil
}

// shut: a peer that has acknowledged everything may end the connection at once.
func (r *Restored) shut(how int) error {
	if err := unix.Shutdown(r.fd, how); err != nil && !errors.Is(err, unix.ENOTCONN) {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}

// finBound is for a FIN that goes through this machine's own loopback.
const finBound = 2 * time.Second

// finArrives gives our own stack the FIN that the peer will not send again. The
// loopback takes it to the socket before the call returns, unless the machine is
// so busy that it leaves that to a thread.
func (r *Restored) finArrives() error {
	seg, err := r.dump.peersFin()
	if err != nil {
		return err
	}
	for end := time.Now().Add(finBound); ; time.Sleep(100 * time.Microsecond) {
		if err := r.stack.raw.send(r.dump.Local.Addr(), seg); err != nil {
			return err
		}
		info, err := tcpInfo(r.fd)
		if err != nil {
			return err
		}
		if s := mtcp.State(info.State); s.PeerFin() || !s.Movable() {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the peer's FIN did not get through to the socket, which is in %s: does a firewall drop it?", mtcp.State(info.State))
		}
	}
}

// peersFin is the peer's FIN: it acknowledges nothing that is not acknowledged,
// and grants what was granted.
func (d *Dump) peersFin() ([]byte, error) {
	return wire.Segment{
		Src: d.Remote, Dst: d.Local, Seq: d.inEnd(), Ack: d.outFirst(), Flags: wire.FIN | wire.ACK,
		Window: uint16(min(d.Window.Send>>d.sendScale(), 0xffff)),
	}.Append(nil)
}

// rawSockets send whole IP packets; -1 where there is none.
type rawSockets struct{ v4, v6 int }

func (r *rawSockets) open() {
	for _, s := range []struct {
		family int
		fd     *int
	}{{unix.AF_INET, &r.v4}, {unix.AF_INET6, &r.v6}} {
		fd, err := unix.Socket(s.family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err == nil {
			*s.fd = fd
		}
	}
}

func (r *rawSockets) close() {
	for _, fd := range []int{r.v4, r.v6} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// has reports whether send can work for a family.
func (r *rawSockets) has(to netip.Addr) bool {
	if to.Is4() {
		return r.v4 >= 0
	}
	return r.v6 >= 0
}

func (r *rawSockets) send(to netip.Addr, packet []byte) error {
	if !r.has(to) {
		return fmt.Errorf("raw socket: %w without CAP_NET_RAW", ErrPermission)
	}
	fd := r.v6
	if to.Is4() {
		fd = r.v4
	}
	sa := sockaddr.Of(netip.AddrPortFrom(to, 0))
	if err := unix.Sendto(fd, packet, 0, sa); err != nil {
		return fmt.Errorf("send a segment of our own: %w", err)
	}
	return nil
}
