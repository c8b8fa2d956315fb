// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func (p *udpPort) setOptions(o UDPOptions) error {
	if err := p.neverFragment(); err != nil {
		return err
	}
	p.caps = Caps{MaxPacket: maxUDP, TrainLen: 1, Exact: p.v6}
	if !o.NoGSO && p.hasGSO() {
		p.caps.TrainLen, p.caps.TrainBytes = trainPackets, maxUDP
	}
	if !o.NoGRO {
		// Without it (before Linux 5.0) each packet comes by itself: slower, not wrong.
		_ = unix.SetsockoptInt(p.fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	}
	growBuffer(p.fd, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE, o.SendBuffer)
	growBuffer(p.fd, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, o.RecvBuffer)
	got, err := unix.GetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	p.caps.RecvBuffer = got / 2 // the kernel doubles it for its own headers
	return err
}

// neverFragment sets DF, and with it the IPv4 ID 0 that the ICRC counts on.
func (p *udpPort) neverFragment() error {
	if !p.v6 {
		return unix.SetsockoptInt(p.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	}
	for _, o := range []struct{ level, name, value int }{
		{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
		{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO},
		{unix.IPPROTO_UDP, unix.UDP_NO_CHECK6_RX, 1}, // rxe sends no UDP checksum
	} {
		if err := unix.SetsockoptInt(p.fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("socket option %d of level %d: %w", o.name, o.level, err)
		}
	}
	return nil
}

// hasGSO asks for the option that Linux 4.18 brought.
func (p *udpPort) hasGSO() bool {
	_, err := unix.GetsockoptInt(p.fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	return err == nil
}

// growBuffer sets a socket buffer, beyond the system's limit if we may.
func growBuffer(fd, option, force, bytes int) {
	if bytes == 0 {
		bytes = wantBuffer
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bytes) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, bytes)
	}
}
