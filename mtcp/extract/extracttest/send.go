// SPDX-License-Identifier: Apache-2.0

package extracttest

import (
	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Write is a send() of n bytes (net/ipv4/tcp.c, tcp_sendmsg_locked).
func (s *Sock) Write(n int) {
	s.Begun = s.writeSeq + seqnum.Value(n)
	s.process(func() {
		for n > 0 {
			n -= s.fillTail(min(n, 1+s.k.rng.IntN(3000)))
		}
	})
	s.Written = s.writeSeq
}

const mostInSkb = 16 << 10

// fillTail adds some bytes to the last sk_buff, or to a new one.
func (s *Sock) fillTail(n int) int {
	k := s.k
	var b *Skb
	if last := len(s.tx.skbs) - 1; last >= 0 && s.tx.skbs[last].length < mostInSkb && len(s.tx.skbs[last].frags) < maxFrags {
		b = s.tx.skbs[last]
	} else {
		b = k.newSkb(s.writeSeq, linearRoom)
		k.insert(&s.tx, len(s.tx.skbs), b)
	}
	merge := len(b.frags) > 0 && b.frags[len(b.frags)-1].private && k.rng.IntN(2) == 0
	last := len(b.frags) - 1
	bytes := Bytes(true, s.writeSeq, s.writeSeq+seqnum.Value(n))
	var f frag
	if merge {
		f = b.frags[last]
		n = min(n, pageSize-int(f.off+f.n)%pageSize)
		if n == pageSize || f.off+f.n >= pageSize {
			merge = false
		}
	}
	if merge {
		k.mem.Poke(f.va+uint64(f.off+f.n), bytes[:n])
	} else {
		n = min(n, pageSize-64)
		f = k.pageWith(bytes[:n], 64)
		f.private = true
	}
	k.setLen(b, b.length+uint32(n)) // skb_len_add
	if merge {
		k.setFragLen(b, last, f.n+uint32(n))
	} else {
		k.setFrag(b, len(b.frags), f)
		k.setFrags(b, len(b.frags))
	}
	// WRITE_ONCE does not order what is no WRITE_ONCE.
	k.anyOrder(
		func() { s.setSeq("write_seq", &s.writeSeq, s.writeSeq+seqnum.Value(n)) },
		func() { k.setEnd(b, b.End+seqnum.Value(n)) },
	)
	return n
}

// Transmit sends up to n segments of at most size bytes (tcp_write_xmit).
func (s *Sock) Transmit(n, size int) { s.segment(func() { s.transmit(n, size) }) }

func (s *Sock) transmit(n, size int) {
	k := s.k
	for ; n > 0 && len(s.tx.skbs) > 0; n-- {
		b := s.tx.skbs[0]
		if b.length == 0 && b.flags&flagFIN == 0 {
			return
		}
		if int(b.length) > size {
			s.fragment(b, uint32(size), func(rest *Skb) { k.insert(&s.tx, 1, rest) })
		}
		s.Wire = seqnum.Max(s.Wire, b.End) // the device has it
		k.insert(&s.sorted, len(s.sorted.skbs), b)
		s.setSeq("snd_nxt", &s.sndNxt, b.End)
		k.unlink(&s.tx, b)
		k.link(&s.rtx, b)
	}
}

// fragment cuts a sk_buff in two (tso_fragment, tcp_fragment).
func (s *Sock) fragment(b *Skb, n uint32, link func(rest *Skb)) {
	k := s.k
	rest := k.newSkb(b.Seq+seqnum.Value(n), linearRoom)
	k.setEnd(rest, b.End)
	k.setEnd(b, rest.Seq)
	k.setFlags(rest, b.flags)
	k.setFlags(b, b.flags&^(flagFIN|flagPSH))
	k.split(b, rest, n)
	link(rest)
}

// split is net/core/skbuff.c, skb_split_no_header.
func (k *Kernel) split(b, rest *Skb, n uint32) {
	frags := append([]frag(nil), b.frags...)
	all := b.length
	k.setFrags(b, 0)
	k.setLen(rest, all-n)
	k.setLen(b, n)
	pos, kept, moved := uint32(0), 0, 0
	for i, f := range frags {
		if pos+f.n > n {
			k.setFrag(rest, moved, f)
			if pos < n {
				k.setFragOff(rest, 0, f.off+n-pos)
				k.setFragLen(rest, 0, f.n-(n-pos))
				rest.frags[0].private = f.private
				b.frags = frags[: i+1 : i+1]
				k.setFragLen(b, i, n-pos)
				b.frags[i].private = false
				kept++
				k.setFrags(b, kept)
			}
			moved++
		} else {
			kept++
			b.frags = frags[: i+1 : i+1]
			k.setFrags(b, kept)
		}
		pos += f.n
	}
	k.setFrags(rest, moved)
}

// Acknowledged is an acknowledgement of all before to (tcp_ack,
// tcp_clean_rtx_queue).
func (s *Sock) Acknowledged(to seqnum.Value) { s.segment(func() { s.ack(to) }) }

func (s *Sock) ack(to seqnum.Value) {
	k, n := s.k, s.sndUna.Size(to)
	s.Una = to
	k.anyOrder(
		func() { s.acked += uint64(n); s.set("tcp_sock.bytes_acked", s.acked) },
		func() { s.setSeq("snd_una", &s.sndUna, to) },
	)
	s.set("tcp_sock.snd_wnd", uint64(s.windowToSend))
	for {
		var b *Skb
		s.rtx.each(func(x *Skb) {
			if b == nil {
				b = x
			}
		})
		if b == nil || to.LessEq(b.Seq) {
			break
		}
		if to.Less(b.End) {
			if keep := to - b.Seq; uint32(keep) < b.length {
				k.trim(b, uint32(keep))
				k.setSeq(b, to)
			}
			break
		}
		k.unlink(&s.sorted, b)
		k.erase(&s.rtx, b)
		k.free(b)
	}
	s.finAcked()
}

// finAcked is what tcp_rcv_state_process makes of it.
func (s *Sock) finAcked() {
	if s.sndUna != s.writeSeq {
		return
	}
	switch s.State {
	case mtcp.FinWait1:
		s.setState(mtcp.FinWait2)
	case mtcp.LastAck, mtcp.Closing:
		s.setState(mtcp.Close)
	}
}

// trim takes n bytes from the front (net/core/skbuff.c, __pskb_trim_head).
func (k *Kernel) trim(b *Skb, n uint32) {
	all, eat, kept := len(b.frags), n, 0
	for i := range all {
		f := b.frags[i]
		if f.n <= eat {
			k.unref(f)
			eat -= f.n
			continue
		}
		if kept != i {
			k.setFrag(b, kept, f)
		}
		if eat > 0 {
			off, left := f.off+eat, f.n-eat
			k.anyOrder(
				func() { k.setFragOff(b, kept, off) },
				func() { k.setFragLen(b, kept, left) },
			)
			eat = 0
		}
		kept++
	}
	k.setFrags(b, kept)
	k.setLen(b, b.length-n)
}

// Merge moves all of a sent sk_buff's bytes to the one before it, as for those
// that the peer has by SACK (tcp_shifted_skb, skb_shift). It does nothing if there
// are no two with room.
func (s *Sock) Merge() {
	var sent []*Skb
	s.rtx.each(func(b *Skb) { sent = append(sent, b) })
	for i := 1; i < len(sent); i++ {
		if a, b := sent[i-1], sent[i]; len(a.frags)+len(b.frags) <= maxFrags && b.length > 1 && (a.flags|b.flags)&flagFIN == 0 && a.End == b.Seq {
			s.segment(func() { s.shift(a, b, 1+uint32(s.k.rng.IntN(int(b.length-1)))) })
			return
		}
	}
}

// shift moves n bytes, not all, from b to a.
func (s *Sock) shift(a, b *Skb, n uint32) {
	k, todo, from, to := s.k, n, 0, len(a.frags)
	for todo > 0 {
		f := b.frags[from]
		if todo >= f.n {
			k.setFrag(a, to, f)
			todo -= f.n
			from++
			to++
			continue
		}
		k.setFrag(a, to, frag{va: f.va, off: f.off, n: todo})
		rest, left := f.off+todo, f.n-todo
		k.anyOrder(
			func() { k.setFragOff(b, from, rest) },
			func() { k.setFragLen(b, from, left) },
		)
		todo = 0
		to++
	}
	k.setFrags(a, to)
	all, at := len(b.frags), 0
	for ; from < all; from, at = from+1, at+1 {
		if from != at {
			k.setFrag(b, at, b.frags[from])
		}
	}
	k.setFrags(b, at)
	k.setLen(b, b.length-n)
	k.setLen(a, a.length+n)
	k.setEnd(a, a.End+seqnum.Value(n))
	k.setSeq(b, b.Seq+seqnum.Value(n))
}

// Shut closes the sending half (tcp_shutdown, tcp_send_fin).
func (s *Sock) Shut() {
	k := s.k
	to, err := s.State.After(mtcp.Shut)
	if err != nil {
		return
	}
	s.Begun = s.writeSeq + 1
	s.process(func() {
		s.setState(to)
		if last := len(s.tx.skbs) - 1; last >= 0 {
			b := s.tx.skbs[last]
			k.anyOrder(
				func() { k.setFlags(b, b.flags|flagFIN) },
				func() { k.setEnd(b, b.End+1) },
			)
			s.setSeq("write_seq", &s.writeSeq, s.writeSeq+1)
			return
		}
		b := k.newSkb(s.writeSeq, linearRoom)
		k.quietly(func() { k.setEnd(b, b.End+1); k.setFlags(b, flagACK|flagFIN) })
		s.setSeq("write_seq", &s.writeSeq, b.End)
		k.insert(&s.tx, len(s.tx.skbs), b)
	})
	s.Written = s.writeSeq
}
