// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

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
	scale := uint8(0)
	if d.Negotiated.Scaled {
		scale = d.Negotiated.SendScale
	}
	return wire.Segment{
		Src: d.Remote, Dst: d.Local, Seq: d.inEnd(), Ack: d.outFirst(), Flags: wire.FIN | wire.ACK,
		Window: uint16(min(d.Window.Send>>scale, 0xffff)),
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

func (r *rawSockets) send(to netip.Addr, packet []byte) error {
	fd, sa := r.v4, unix.Sockaddr(nil)
	if to.Is4() {
		sa = &unix.SockaddrInet4{Addr: to.As4()}
	} else {
		fd, sa = r.v6, &unix.SockaddrInet6{Addr: to.As16()}
	}
	if fd < 0 {
		return fmt.Errorf("raw socket: %w without CAP_NET_RAW", ErrPermission)
	}
	if err := unix.Sendto(fd, packet, 0, sa); err != nil {
		return fmt.Errorf("send a segment to ourselves: %w", err)
	}
	return nil
}
