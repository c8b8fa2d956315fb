// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"errors"
	"iter"
	"net/netip"
)

// Datagram is the payload of a UDP datagram, or a train: the payloads of
// several, one behind the other.
type Datagram struct {
	Peer    netip.AddrPort // where it came from or goes to
	Data    []byte
	Segment int // bytes of each packet of a train, the last may be shorter; 0: one packet

	// The words of the IPv4 header that the ICRC covers, where a port sees them
	// (Caps.Exact).
	ID, Flags uint16
}

// Packets returns the payloads one by one.
func (d *Datagram) Packets() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		data, seg := d.Data, d.Segment
		if seg <= 0 {
			seg = len(data)
		}
		for len(data) > 0 {
			n := min(seg, len(data))
			if !yield(data[:n:n]) {
				return
			}
			data = data[n:]
		}
	}
}

// Caps are the abilities of a port.
type Caps struct {
	MaxPacket  int  // longest UDP payload
	TrainLen   int  // packets of a train; 1: no trains
	TrainBytes int  // bytes of a train
	Exact      bool // ID and Flags of what is received are true, or it is IPv6
	RecvBuffer int  // bytes that wait unread before packets are dropped
}

// ErrFull: the port takes no more now.
var ErrFull = errors.New("send queue is full")

// Port sends and receives. Its methods are called by one goroutine at a time,
// save Close and FD.
type Port interface {
	Local() netip.AddrPort
	Caps() Caps
	// Send hands datagrams over, in order, and never waits. It returns how many
	// it took: fewer than all with ErrFull. One that cannot be sent at all is
	// counted as dropped and taken.
	Send([]Datagram) (int, error)
	// Recv fills datagrams whose Data is valid until the next Recv, and never
	// waits: 0 if there are none.
	Recv([]Datagram) (int, error)
	// FD is readable for poll(2) when Recv has something.
	FD() int
	Stats() Stats
	Close() error
}

// Stats are counts since the port was opened.
type Stats struct {
	SentPackets, SentBytes uint64
	RecvPackets, RecvBytes uint64
	SendErrors             uint64 // datagrams that could not be sent
	Ignored                uint64 // frames and datagrams that were not for this port
}

func (s *Stats) sent(d *Datagram) {
	s.SentBytes += uint64(len(d.Data))
	s.SentPackets += uint64(d.count())
}

func (s *Stats) received(d *Datagram) {
	s.RecvBytes += uint64(len(d.Data))
	s.RecvPackets += uint64(d.count())
}

// count returns the number of packets.
func (d *Datagram) count() int {
	if d.Segment <= 0 || len(d.Data) == 0 {
		return 1
	}
	return (len(d.Data) + d.Segment - 1) / d.Segment
}
