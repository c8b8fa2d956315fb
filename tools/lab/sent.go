// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Sent counts the frames that a machine sends by one of its NICs, as the TAP sees
// them: what is not counted there has not left it.
type Sent struct {
	TCP, RoCE, Other atomic.Int64

	fd      int
	closing atomic.Bool
	done    chan struct{}
}

const (
	sentLook  = 100 * time.Millisecond // how often a quiet capture asks whether it ends
	sentFrame = 128                    // as much of each as is looked at
	rocePort  = 4791
)

// Sent begins to count what leaves the machine by its NIC i.
func (vm *VM) Sent(i int) (*Sent, error) {
	from, err := net.ParseMAC(vm.MAC(i))
	if err != nil {
		return nil, err
	}
	s := &Sent{done: make(chan struct{})}
	err = InNetns(vm.record.Config.Net, func() (err error) {
		s.fd, err = capture(vm.TAP(i))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capture on %s: %w", vm.TAP(i), err)
	}
	go s.run(from)
	return s, nil
}

// capture opens a socket that sees every frame of an interface, and ends each wait
// soon.
func capture(name string) (int, error) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	wait := unix.NsecToTimeval(int64(sentLook))
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (s *Sent) run(from net.HardwareAddr) {
	defer close(s.done)
	b := make([]byte, sentFrame)
	for !s.closing.Load() {
		n, _, err := unix.Recvfrom(s.fd, b, 0)
		if err != nil || n < 14 || !bytes.Equal(b[6:12], from) {
			continue // nothing for a while, or what the machine receives
		}
		s.count(b[:n])
	}
}

// count looks at an Ethernet frame with the headers that this lab's guests send: no
// VLAN, no extension headers.
func (s *Sent) count(b []byte) {
	at, proto := 0, byte(0)
	switch kind := binary.BigEndian.Uint16(b[12:]); {
	case kind == unix.ETH_P_IP && len(b) >= 34:
		at, proto = 14+int(b[14]&15)*4, b[23]
	case kind == unix.ETH_P_IPV6 && len(b) >= 54:
		at, proto = 54, b[20]
	}
	switch {
	case proto == unix.IPPROTO_TCP:
		s.TCP.Add(1)
	case proto == unix.IPPROTO_UDP && len(b) >= at+4 && binary.BigEndian.Uint16(b[at+2:]) == rocePort:
		s.RoCE.Add(1)
	default:
		s.Other.Add(1)
	}
}

// Close ends the count.
func (s *Sent) Close() error {
	s.closing.Store(true)
	<-s.done
	return unix.Close(s.fd)
}
