// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"lazystate/backdoor"
	"lazystate/internal/seqnum"
)

// walk collects the queues of one socket.
type walk struct {
	r     *reader
	y     *layout
	s     *socket
	purse *purse
	skbs  int // left

	receive, write, rtx, sent queue
	congestion                string
}

// queue is what was found of one.
type queue struct {
	skbs []*skb
	seen map[uint64]bool
	err  error // the first address that led nowhere
}

// maxSkbs bounds the queues of one socket; a receive buffer of 32 MiB with a byte
// in each sk_buff has fewer.
const maxSkbs = 1 << 15

// link is how a list goes through its sk_buffs.
type link struct {
	off        uint64 // of the link in a sk_buff
	next, prev func(*skb) uint64
}

var byQueue = link{0, func(k *skb) uint64 { return k.next }, func(k *skb) uint64 { return k.prev }}

func (y *layout) bySending() link {
	return link{y.anchor, func(k *skb) uint64 { return k.later }, func(k *skb) uint64 { return k.former }}
}

// queues asks for all that a copy of the socket leads to.
func (w *walk) queues(buf []byte) {
	head := func(name string, off uint64) uint64 { return wordIn(w.y.sock.Bytes(buf, name), off) }
	const in, out = "sock.sk_receive_queue", "sock.sk_write_queue"
	w.list(&w.receive, w.s.addr+w.y.receive, byQueue, head(in, w.y.headNext), head(in, w.y.headPrev), w.s.copied)
	w.list(&w.write, w.s.addr+w.y.write, byQueue, head(out, w.y.headNext), head(out, w.y.headPrev), w.s.sndUna)
	w.tree(head("sock.tcp_rtx_queue", 0))
}

// sorted asks for the list in order of sending, which has what the tree lacks
// while that is being changed.
func (w *walk) sorted(buf []byte) {
	b := w.y.sock.Bytes(buf, "tcp_sock.tsorted_sent_queue")
	w.list(&w.sent, w.s.addr+w.y.sorted, w.y.bySending(), wordIn(b, 0), wordIn(b, 8), w.s.sndUna)
}

// list goes through a list from both ends until they meet. Half as many levels,
// and an sk_buff that is being unlinked, whose own links are gone, does not hide
// what lies behind it (include/linux/skbuff.h, __skb_unlink).
func (w *walk) list(q *queue, head uint64, l link, next, prev uint64, floor seqnum.Value) {
	q.seen = map[uint64]bool{}
	var step func(at uint64, onward func(*skb) uint64)
	step = func(at uint64, onward func(*skb) uint64) {
		if at == head || at == 0 {
			return
		}
		w.visit(q, at-l.off, floor, func(k *skb) { step(onward(k), onward) })
	}
	step(next, l.next)
	step(prev, l.prev)
}

// tree goes through the retransmission tree, a level at a time.
func (w *walk) tree(root uint64) {
	w.rtx.seen = map[uint64]bool{}
	var step func(node uint64)
	step = func(node uint64) {
		if node == 0 {
			return
		}
		w.visit(&w.rtx, node-w.y.node, w.s.sndUna, func(k *skb) {
			step(k.left)
			step(k.right)
		})
	}
	step(root)
}

// visit reads a sk_buff that was not seen before, and its bytes if any of them
// lies behind floor.
func (w *walk) visit(q *queue, addr uint64, floor seqnum.Value, then func(*skb)) {
	if q.seen[addr] || q.err != nil && w.tooMuch(q) {
		return
	}
	q.seen[addr] = true
	if !w.afford(w.y.skb.Len()) {
		q.err = lost(TooLarge, "its queues")
		return
	}
	w.r.ask(w.y.skb.Read(addr), func(b []byte, err error) {
		if err != nil {
			q.fail(lost(Unreadable, "a sk_buff: %v", err))
			return
		}
		k := w.y.decodeSkb(addr, b)
		q.skbs = append(q.skbs, k)
		then(k)
		if floor.Less(k.end) || q == &w.write {
			w.bytes(k, true)
		}
	})
}

func (q *queue) fail(err error) {
	if q.err == nil {
		q.err = err
	}
}

func (w *walk) tooMuch(q *queue) bool {
	l, ok := q.err.(*LostError)
	return ok && l.Reason == TooLarge
}

func (w *walk) afford(n uint64) bool {
	w.skbs--
	return w.skbs >= 0 && w.purse.spend(n)
}

// bytes asks for what a sk_buff carries. outer is false for one in a frag_list,
// which has none of its own (net/core/gro.c, skb_gro_receive_list).
func (w *walk) bytes(k *skb, outer bool) {
	if _, ok := k.numbers(); outer && !ok && k.wrong == nil {
		k.wrong = lost(Damaged, "sk_buff %#x: from %d to %d", k.addr, k.seq, k.end)
	}
	if k.wrong != nil {
		return
	}
	if !w.purse.spend(w.y.shared.Len()) {
		k.wrong = lost(TooLarge, "its queues")
		return
	}
	k.parts = make([][]byte, 1)
	w.part(k, 0, k.data, k.linear)
	w.r.ask(w.y.shared.Read(k.shared), func(b []byte, err error) {
		if err != nil {
			k.wrong = lost(Unreadable, "skb_shared_info: %v", err)
			return
		}
		list := w.y.decodeShared(k, b)
		k.parts = append(k.parts, make([][]byte, len(k.frags))...)
		for i, f := range k.frags {
			w.frag(k, i+1, f)
		}
		if list == 0 {
			return
		}
		if !outer {
			k.wrong = lost(Damaged, "a frag_list in a frag_list")
			return
		}
		w.fragList(k, list)
	})
}

func (w *walk) frag(k *skb, i int, f frag) {
	if f.page&1 != 0 {
		k.wrong = lost(Unreadable, "its bytes lie in a device's memory")
		return
	}
	at, ok := w.y.pages.memory(f.page)
	if !ok || f.n > maxBytes {
		k.wrong = lost(Damaged, "sk_buff %#x: %d bytes at page %#x", k.addr, f.n, f.page)
		return
	}
	w.part(k, i, at+f.off, f.n)
}

func (w *walk) part(k *skb, i int, at, n uint64) {
	switch {
	case n == 0 || k.wrong != nil:
		return
	case !w.purse.spend(n):
		k.wrong = lost(TooLarge, "its queues")
		return
	}
	w.r.ask(backdoor.VARead{VA: at, Buf: make([]byte, n)}, func(b []byte, err error) {
		if err != nil {
			k.wrong = lost(Unreadable, "%d bytes of a sk_buff: %v", n, err)
			return
		}
		k.parts[i] = b
	})
}

// maxChildren is more than an aggregate of 64 KiB is made of, and ends a list
// that goes round.
const maxChildren = 1 << 10

// fragList reads the sk_buffs that hang on another, one behind the other.
func (w *walk) fragList(k *skb, at uint64) {
	if len(k.children) == maxChildren {
		k.wrong = lost(Damaged, "a frag_list of more than %d", maxChildren)
		return
	}
	if !w.afford(w.y.skb.Len()) {
		k.wrong = lost(TooLarge, "its queues")
		return
	}
	w.r.ask(w.y.skb.Read(at), func(b []byte, err error) {
		if err != nil {
			k.wrong = lost(Unreadable, "a sk_buff of a frag_list: %v", err)
			return
		}
		c := w.y.decodeSkb(at, b)
		k.children = append(k.children, c)
		w.bytes(c, false)
		if c.next != 0 {
			w.fragList(k, c.next)
		}
	})
}
