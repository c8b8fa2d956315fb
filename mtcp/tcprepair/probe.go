// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/mtcp/wire"
)

// speak ends repair mode and makes the peer tell us what it has. The kernel's
// own probe is a bare acknowledgement, which the peer answers twice a second at
// most (net/ipv4/tcp_input.c, tcp_oow_rate_limited), and frozen sockets at other
// servers may have used that up. A byte that it has already is answered at once.
func (r *Restored) speak() error {
	d := r.dump
	mark, _ := d.Options.Int("SO_MARK") // a raw packet would go another way
	ours := mark == 0 && r.stack.raw.has(d.Local.Addr())
	off := unix.TCP_REPAIR_OFF
	if ours {
		off = unix.TCP_REPAIR_OFF_NO_WP
	}
	if err := setInt(r.fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, off, "TCP_REPAIR"); err != nil || !ours {
		return err
	}
	seg, err := d.probe()
	if err != nil {
		return err
	}
	// A full queue of the device or a firewall is no reason to give up: the
	// socket speaks when it has to.
	_ = r.stack.raw.send(d.Remote.Addr(), seg)
	return nil
}

// Probe is what Live says first, to be said again to a peer that may not have heard it.
// It may be late: the window that it grants was granted before.
func (r *Restored) Probe() wire.Segment { return r.dump.question() }

func (d *Dump) probe() ([]byte, error) { return d.question().Append(nil) }

// question is a segment with the last byte that the peer has acknowledged, whatever
// that was.
func (d *Dump) question() wire.Segment {
	n := d.Negotiated
	s := wire.Segment{
		Src: d.Local, Dst: d.Remote, Seq: d.outFirst() - 1, Ack: d.RcvNxt, Flags: wire.ACK,
		Window: uint16(min((d.Ack+seqnum.Value(d.Window.Receive)-d.RcvNxt)>>d.recvScale(), 0xffff)), Payload: []byte{0},
	}
	if n.Stamped {
		s.Options = binary.BigEndian.AppendUint32([]byte{1, 1, optStamp, 10}, n.Timestamp+2)
		s.Options = append(s.Options, 0, 0, 0, 0)
	}
	return s
}

func (d *Dump) recvScale() uint8 {
	if d.Negotiated.Scaled {
		return d.Negotiated.RecvScale
	}
	return 0
}

func (d *Dump) sendScale() uint8 {
	if d.Negotiated.Scaled {
		return d.Negotiated.SendScale
	}
	return 0
}
