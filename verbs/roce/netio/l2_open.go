// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Of linux/if_packet.h, not in package unix.
const packetIgnoreOutgoing = 23 // PACKET_IGNORE_OUTGOING

// open opens the TAP or the packet socket and returns the interface's MTU.
func (p *l2Port) open() (mtu int, err error) {
	switch {
	case p.opt.TAP != "" && p.opt.Interface == "":
		p.fd, err = openTAP(p.opt.TAP)
		if err != nil {
			return 0, fmt.Errorf("TAP %s: %w", p.opt.TAP, err)
		}
		return p.mtu(p.opt.TAP)
	case p.opt.Interface != "" && p.opt.TAP == "":
		p.vnet = vnetLen
		p.fd, err = openPacket(p.opt.Interface)
		if err != nil {
			return 0, fmt.Errorf("interface %s: %w", p.opt.Interface, err)
		}
		return p.mtu(p.opt.Interface)
	}
	return 0, errors.New("want a TAP or an interface")
}

func (p *l2Port) mtu(name string) (int, error) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return 0, errors.Join(err, unix.Close(p.fd))
	}
	return ifc.MTU, nil
}

// openTAP attaches to a TAP, and makes it if it is not there. The kernel cuts
// trains into packets for us, since no header says that we could.
func openTAP(name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// openPacket opens a packet socket that sees all that comes in by an interface,
// for any MAC address.
func openPacket(name string) (int, error) {
	ifc, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := setUpPacket(fd, ifc.Index); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func setUpPacket(fd, index int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return fmt.Errorf("header of trains: %w", err)
	}
	// Before Linux 4.20 our own frames come back and are dropped by their MAC.
	_ = unix.SetsockoptInt(fd, unix.SOL_PACKET, packetIgnoreOutgoing, 1)
	growBuffer(fd, unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, 0)
	mreq := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	all := uint16(unix.ETH_P_ALL)
	return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index, Protocol: all<<8 | all>>8})
}
