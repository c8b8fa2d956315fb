// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"cmp"
	"slices"

	"lazystate/internal/seqnum"
)

// tile is what a sk_buff is good for: bytes from one number on, and a FIN.
type tile struct {
	from, to seqnum.Value // of the bytes
	fin      bool         // it has the number to
	bytes    []byte       // nil: they are there and cannot be told
	why      error        // if so
	changing bool
}

func unknown(t tile, why error) tile {
	t.bytes, t.why = nil, why
	return t
}

// received is a sk_buff of the receive queue. One that another is being added to
// has the bytes already and not yet the numbers (net/ipv4/tcp_input.c,
// tcp_try_coalesce, tcp_collapse): as many bytes count as there are numbers.
func (k *skb) received(held bool) tile {
	t := tile{from: k.first(), to: k.last(), fin: k.fin, changing: k.changing}
	n, ok := k.numbers()
	b := k.payload()
	switch {
	case k.wrong != nil:
		return unknown(t, k.wrong)
	case !ok:
		return unknown(t, lost(Damaged, "a received sk_buff from %d to %d", k.seq, k.end))
	case uint64(len(b)) == n:
	case !held:
		return unknown(t, lost(Damaged, "a received sk_buff with %d bytes for %d numbers", len(b), n))
	case uint64(len(b)) < n:
		return unknown(t, lost(Torn, "a received sk_buff with %d bytes for %d numbers", len(b), n))
	}
	t.bytes = b[:n]
	return t
}

// trimmed is the number up to which a sk_buff has been acknowledged, if that is
// within it.
func (k *skb) trimmed(una seqnum.Value) bool { return k.first().Less(una) && una.Less(k.last()) }

// unsent is the write queue's last: while its bytes are being added to, it has
// them before the socket has their numbers, and that before the sk_buff has
// (net/ipv4/tcp.c, tcp_sendmsg_locked). closing: a FIN is being added instead, a
// flag and a number (net/ipv4/tcp_output.c, tcp_send_fin); with one of the two it
// is not there yet.
func (k *skb) unsent(write seqnum.Value, closing bool) tile {
	t := k.sent(k.first(), true)
	b := k.payload()
	if b == nil || k.doubled() {
		return t
	}
	n, have := int64(k.first().Size(k.last())), int64(len(b))
	switch {
	case closing && (k.fin && have == n+1 || !k.fin && have == n-1):
		t.to, t.fin = k.first()+seqnum.Value(have), false
	case !closing && !k.fin && t.to.Less(write):
		t.to = k.first() + min(write-k.first(), seqnum.Value(have))
		b = b[:k.first().Size(t.to)]
	default:
		return t
	}
	t.bytes, t.why = b, nil
	return t
}

// sent is a sk_buff of the retransmission tree or the write queue. With nobody
// inside, its bytes end where its numbers do. Otherwise one whose bytes are being
// moved cannot always be told from one whose are not, and the rule is strict:
//
//   - one that is acknowledged in part is being trimmed (__pskb_trim_head), and
//     its frags may have been moved, cut or let go of before its number is;
//   - frags that have bytes in common are being moved (skb_shift);
//   - bytes and numbers must be equally many. The write queue's last may have
//     more, for it grows at its end: see unsent.
//
// What the rule leaves out is lost only if the peer does not have it.
func (k *skb) sent(una seqnum.Value, held bool) tile {
	t := tile{from: k.first(), to: k.last(), fin: k.fin, changing: k.changing}
	n, ok := k.numbers()
	b := k.payload()
	have := uint64(len(b))
	switch {
	case k.wrong != nil:
		return unknown(t, k.wrong)
	case !ok || k.syn:
		return unknown(t, lost(Damaged, "a sk_buff to send, from %d to %d", k.seq, k.end))
	case !held && have != n:
		return unknown(t, lost(Damaged, "a sk_buff to send with %d bytes for %d numbers", have, n))
	case held && k.trimmed(una):
		return unknown(t, lost(Torn, "a sk_buff to send, acknowledged in part"))
	case held && k.doubled():
		return unknown(t, lost(Torn, "a sk_buff to send whose frags are being moved"))
	case have != n:
		return unknown(t, lost(Torn, "a sk_buff to send with %d bytes for %d numbers", have, n))
	}
	t.bytes = b
	return t
}

// toSend are the sk_buffs of both queues, and of the list in order of sending,
// by their numbers.
func (w *walk) toSend() []*skb {
	base, seen := w.s.sndUna, map[uint64]bool{}
	skbs := slices.DeleteFunc(slices.Concat(w.rtx.skbs, w.sent.skbs, w.write.skbs), func(k *skb) bool {
		twice := seen[k.addr]
		seen[k.addr] = true
		// An empty one may be about to be filled; others that end here are acknowledged.
		return twice || k.end.Less(base) || k.end == base && k.seq != base
	})
	slices.SortStableFunc(skbs, func(a, b *skb) int { return cmp.Compare(int32(a.seq-base), int32(b.seq-base)) })
	return skbs
}

// gaps reports whether numbers are missing between una and the end.
func (w *walk) gaps() bool {
	at := w.s.sndUna
	for _, k := range w.toSend() {
		if at.Less(k.seq) {
			return true
		}
		at = seqnum.Max(at, k.end)
	}
	return at.Less(w.s.writeSeq)
}

// outgoing lays out what is to be sent. Where somebody was inside, what begins
// before its predecessor has ended is being merged with it, or its bytes are, and
// so is what follows one whose bytes and numbers differ.
func (w *walk) outgoing() []tile {
	base, skbs := w.s.sndUna, w.toSend()
	tiles := make([]tile, len(skbs))
	for i, k := range skbs {
		t := k.sent(base, w.s.held)
		if w.s.held && i == len(skbs)-1 && w.write.seen[k.addr] && !k.trimmed(base) {
			t = k.unsent(w.s.writeSeq, w.s.state.OwnFin())
		} else if w.s.held && i > 0 && t.bytes != nil {
			t = beside(t, k, skbs[i-1])
		}
		tiles[i] = t
	}
	return tiles
}

// beside distrusts a tile for its predecessor.
func beside(t tile, k, before *skb) tile {
	n, _ := before.numbers()
	switch {
	case k.seq.Less(before.end):
		return unknown(t, lost(Torn, "sk_buffs to send that are being merged"))
	case before.wrong == nil && before.bytes() != n, k.giving(before):
		return unknown(t, lost(Torn, "a sk_buff to send behind one that is being changed"))
	}
	return t
}
