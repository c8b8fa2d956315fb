// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
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
	seg := r.dump.peersFin()
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
func (d *Dump) peersFin() []byte {
	scale := uint8(0)
	if d.Negotiated.Scaled {
		scale = d.Negotiated.SendScale
	}
	return segment(d.Remote, d.Local, d.inEnd(), d.outFirst(), flagFin|flagAck, uint16(min(d.Window.Send>>scale, 0xffff)))
}

const (
	flagFin = 1
	flagAck = 16
)

// segment is an IP packet with a bare TCP header.
func segment(from, to netip.AddrPort, seq, ack seqnum.Value, flags byte, window uint16) []byte {
	t := make([]byte, 20)
	binary.BigEndian.PutUint16(t[0:], from.Port())
	binary.BigEndian.PutUint16(t[2:], to.Port())
	binary.BigEndian.PutUint32(t[4:], uint32(seq))
	binary.BigEndian.PutUint32(t[8:], uint32(ack))
	t[12], t[13] = 5<<4, flags
	binary.BigEndian.PutUint16(t[14:], window)
	src, dst := from.Addr().AsSlice(), to.Addr().AsSlice()
	binary.BigEndian.PutUint16(t[16:], checksum(src, dst, []byte{0, unix.IPPROTO_TCP, 0, byte(len(t))}, t))
	if from.Addr().Is4() {
		// The kernel fills in total length, identification and checksum.
		h := make([]byte, 20, 40)
		h[0], h[8], h[9] = 4<<4|5, 64, unix.IPPROTO_TCP
		copy(h[12:], src)
		copy(h[16:], dst)
		return append(h, t...)
	}
	h := make([]byte, 40, 60)
	h[0], h[5], h[6], h[7] = 6<<4, byte(len(t)), unix.IPPROTO_TCP, 64
	copy(h[8:], src)
	copy(h[24:], dst)
	return append(h, t...)
}

// checksum is that of RFC 1071 over parts of even length.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, p := range parts {
		for i := 0; i < len(p); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(p[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
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
