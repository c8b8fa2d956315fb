// SPDX-License-Identifier: Apache-2.0

package extracttest

import (
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Receive is a segment of n bytes, and a FIN, that comes in order
// (net/ipv4/tcp_input.c, tcp_queue_rcv).
func (s *Sock) Receive(n int, fin bool) {
	s.Came = s.rcvNxt + seqnum.Value(n)
	if fin {
		s.Came++
	}
	s.segment(func() { s.queue(n, fin) })
}

func (s *Sock) queue(n int, fin bool) {
	k := s.k
	b := k.newSkb(s.rcvNxt, linearRoom)
	end := b.Seq + seqnum.Value(n)
	bytes := Bytes(false, b.Seq, end)
	k.quietly(func() {
		linear := min(n, k.rng.IntN(linearRoom))
		k.mem.Poke(b.Head, bytes[:linear])
		b.tail = uint32(linear)
		k.field(b.Addr, "sk_buff.tail", uint64(linear))
		if linear < n {
			k.setFrag(b, 0, k.pageWith(bytes[linear:], uint32(k.rng.IntN(100))))
			k.setFrags(b, 1)
		}
		k.setLen(b, uint32(n))
		k.setEnd(b, end)
		if fin {
			k.setFlags(b, b.flags|flagFIN)
			k.setEnd(b, end+1)
		}
	})
	eaten := s.coalesce(b, bytes)
	delta := s.rcvNxt.Size(b.End)
	k.anyOrder(
		func() { s.received += uint64(delta); s.set("tcp_sock.bytes_received", s.received) },
		func() { s.setSeq("rcv_nxt", &s.rcvNxt, b.End) },
	)
	if !eaten {
		k.insert(&s.rx, len(s.rx.skbs), b)
	}
	if fin {
		to, _ := s.State.After(mtcp.FinArrived)
		s.set("sock.sk_shutdown", 1)
		s.setState(to)
	}
}

// coalesce adds a sk_buff to the one before it (tcp_try_coalesce,
// skb_try_coalesce).
func (s *Sock) coalesce(b *Skb, bytes []byte) bool {
	k, last := s.k, len(s.rx.skbs)-1
	if last < 0 || b.flags&flagFIN != 0 || k.rng.IntN(3) == 0 {
		return false
	}
	to := s.rx.skbs[last]
	switch {
	case len(to.frags) == 0 && int(to.tail)+len(bytes) <= linearRoom:
		at := to.Head + uint64(to.tail)
		to.tail += uint32(len(bytes))
		k.field(to.Addr, "sk_buff.tail", uint64(to.tail)) // skb_put comes before the copy
		k.setLen(to, to.length+uint32(len(bytes)))
		k.store(at, bytes)
	case len(to.frags)+2 <= maxFrags && len(bytes) > 0:
		k.setFrag(to, len(to.frags), k.pageWith(bytes, uint32(k.rng.IntN(50))))
		k.setFrags(to, len(to.frags))
		k.setLen(to, to.length+uint32(len(bytes)))
	default:
		return false
	}
	k.setEnd(to, b.End)
	return true
}

// Acknowledge tells the peer (net/ipv4/tcp_output.c, tcp_select_window).
func (s *Sock) Acknowledge() {
	s.segment(func() {
		s.k.anyOrder(
			func() { s.set("tcp_sock.rcv_wnd", uint64(s.window)) },
			func() { s.setSeq("rcv_wup", &s.rcvWup, s.rcvNxt) },
		)
	})
	s.Acked = s.rcvWup
}

// Take is a recv() of up to n bytes (net/ipv4/tcp.c, tcp_recvmsg_locked). It
// returns how many there were.
func (s *Sock) Take(n int) (got int) {
	s.process(func() {
		for got < n && len(s.rx.skbs) > 0 {
			b := s.rx.skbs[0]
			last := b.End
			if b.flags&flagFIN != 0 {
				last--
			}
			m := min(n-got, int(s.copied.Size(last)))
			if m > 0 {
				s.setSeq("copied_seq", &s.copied, s.copied+seqnum.Value(m))
				got += m
			}
			if s.copied != last {
				break
			}
			if b.flags&flagFIN != 0 {
				if got > 0 {
					break // the FIN is for the next call
				}
				s.setSeq("copied_seq", &s.copied, s.copied+1)
			}
			s.k.unlink(&s.rx, b)
			s.k.free(b)
		}
	})
	s.Read = s.copied
	return got
}
