// SPDX-License-Identifier: Apache-2.0

package extracttest

import (
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/tcprepair"
)

const bytesInSkb = 1000

// Socket makes a socket of a dump of one that lives: the memory of a kernel that
// died at that moment. The peer's FIN is in the queue, for a dump does not tell
// whether it was read.
func (k *Kernel) Socket(d *tcprepair.Dump, c mtcp.Counters) *Sock {
	s := k.Established(Ends{Local: d.Local, Remote: d.Remote, Receive: d.RcvNxt - seqnum.Value(c.Received), Send: d.Una - seqnum.Value(c.Acked)})
	k.quietly(func() {
		s.numbers(d, c)
		s.handshake(&d.Negotiated)
		s.setState(d.State)
		for in := d.In; len(in) > 0; in = in[min(bytesInSkb, len(in)):] {
			part := in[:min(bytesInSkb, len(in))]
			k.insert(&s.rx, len(s.rx.skbs), k.filled(inEnd(d)-seqnum.Value(len(in)), part))
		}
		if d.State.PeerFin() {
			s.set("sock.sk_shutdown", 1) // RCV_SHUTDOWN
			k.insert(&s.rx, len(s.rx.skbs), k.fin(inEnd(d)))
		}
		at := d.Una
		for out := d.Out; len(out) > 0; {
			n := min(bytesInSkb, len(out))
			if at.Less(d.Nxt) {
				n = min(n, int(at.Size(d.Nxt)))
			}
			s.send(k.filled(at, out[:n]), d.Nxt)
			at, out = at+seqnum.Value(n), out[n:]
		}
		if d.State.OwnFin() && !d.State.OwnFinAcked() {
			s.send(k.fin(at), d.Nxt)
		}
	})
	return s
}

// send puts a sk_buff into the queue that it is in when so much has been sent.
func (s *Sock) send(b *Skb, nxt seqnum.Value) {
	if b.Seq.Less(nxt) {
		s.k.insert(&s.sorted, len(s.sorted.skbs), b)
		s.k.link(&s.rtx, b)
		return
	}
	s.k.insert(&s.tx, len(s.tx.skbs), b)
}

// fin is a sk_buff with a FIN and nothing else.
func (k *Kernel) fin(seq seqnum.Value) *Skb {
	b := k.newSkb(seq, linearRoom)
	k.setFlags(b, flagACK|flagFIN)
	k.setEnd(b, seq+1)
	return b
}

// inEnd is the number behind the last byte received.
func inEnd(d *tcprepair.Dump) seqnum.Value {
	if d.State.PeerFin() {
		return d.RcvNxt - 1
	}
	return d.RcvNxt
}

func (s *Sock) numbers(d *tcprepair.Dump, c mtcp.Counters) {
	w := &d.Window
	s.received, s.acked = c.Received, c.Acked
	s.setSeq("rcv_nxt", &s.rcvNxt, d.RcvNxt)
	s.setSeq("copied_seq", &s.copied, inEnd(d)-seqnum.Value(len(d.In)))
	s.setSeq("rcv_wup", &s.rcvWup, d.Ack)
	s.setSeq("snd_una", &s.sndUna, d.Una)
	s.setSeq("snd_nxt", &s.sndNxt, d.Nxt)
	s.setSeq("write_seq", &s.writeSeq, d.Write)
	for name, v := range map[string]uint64{
		"tcp_sock.bytes_received": s.received, "tcp_sock.bytes_acked": s.acked,
		"tcp_sock.snd_wl1": uint64(w.Wl1), "tcp_sock.snd_wnd": uint64(w.Send), "tcp_sock.max_window": uint64(w.SendMost), "tcp_sock.rcv_wnd": uint64(w.Receive),
		"tcp_sock.window_clamp": uint64(uint32(w.Clamp)), "sock.sk_sndbuf": uint64(uint32(w.SendBuffer)), "sock.sk_rcvbuf": uint64(uint32(w.RecvBuffer)),
		// The clock is in the offset.
		"tcp_sock.tcp_mstamp": 0, "tcp_sock.tcp_wstamp_ns": 0, "tcp_sock.tsoffset": uint64(d.Negotiated.Timestamp),
	} {
		s.set(name, v)
	}
	s.SetBit("sock.sk_userlocks", uint64(max(w.BufferLocks, 0)))
}

func (s *Sock) handshake(n *tcprepair.Negotiated) {
	rx := s.Addr + s.k.at("tcp_sock.rx_opt")
	s.k.field(rx, "tcp_options_received.mss_clamp", uint64(n.MSS))
	on := map[bool]uint64{true: 1}
	for name, v := range map[string]uint64{"tstamp_ok": on[n.Stamped], "wscale_ok": on[n.Scaled], "sack_ok": on[n.SACK], "snd_wscale": uint64(n.SendScale), "rcv_wscale": uint64(n.RecvScale)} {
		s.k.bit(rx, "tcp_options_received."+name, v)
	}
	if n.Timestamp&1 != 0 {
		s.SetBit("tcp_sock.tcp_usec_ts", 1)
	}
}

// filled is a sk_buff with these bytes.
func (k *Kernel) filled(seq seqnum.Value, b []byte) *Skb {
	x := k.newSkb(seq, linearRoom)
	k.setFrag(x, 0, k.pageWith(b, 0))
	k.setFrags(x, 1)
	k.setLen(x, uint32(len(b)))
	k.setEnd(x, seq+seqnum.Value(len(b)))
	return x
}
