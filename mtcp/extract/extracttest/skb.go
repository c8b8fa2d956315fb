// SPDX-License-Identifier: Apache-2.0

package extracttest

import "lazystate/internal/seqnum"

// Skb is a sk_buff.
type Skb struct {
	Addr, Head uint64
	Seq, End   seqnum.Value
	flags      uint8
	frags      []frag
	length     uint32 // skb->len
	tail       uint32
	data       uint32

	node // in the tree
}

type frag struct {
	va      uint64
	off, n  uint32
	private bool // the next bytes of its page are this sk_buff's to fill
}

const (
	linearRoom = 256
	maxFrags   = 17
	flagFIN    = 1
	flagPSH    = 8
	flagACK    = 16
)

// newSkb makes one without bytes.
func (k *Kernel) newSkb(seq seqnum.Value, room int) *Skb {
	b := &Skb{Addr: k.mem.Alloc(int(k.at("sk_buff"))), Seq: seq, End: seq, flags: flagACK}
	b.Head = k.mem.Alloc(room + int(k.at("skb_shared_info")))
	k.quietly(func() {
		k.field(b.Addr, "sk_buff.head", b.Head)
		k.field(b.Addr, "sk_buff.data", b.Head)
		k.field(b.Addr, "sk_buff.end", uint64(room))
		k.cb(b, "seq", uint64(seq))
		k.cb(b, "end_seq", uint64(seq))
		k.cb(b, "tcp_flags", uint64(b.flags))
	})
	return b
}

func (k *Kernel) shared(b *Skb, name string) uint64 {
	end := k.mem.Peek(b.Addr+k.at("sk_buff.end"), 4)
	return b.Head + uint64(end[0]) + uint64(end[1])<<8 + uint64(end[2])<<16 + k.at("skb_shared_info."+name)
}

func (k *Kernel) cb(b *Skb, name string, v uint64) {
	full := "tcp_skb_cb." + name
	m := k.off[full]
	at := b.Addr + k.at("sk_buff.cb") + uint64(m.Off)
	if m.Size == 1 {
		k.store8(at, uint8(v))
		return
	}
	k.store32(at, uint32(v))
}

func (k *Kernel) setEnd(b *Skb, end seqnum.Value) {
	b.End = end
	k.cb(b, "end_seq", uint64(end))
}

func (k *Kernel) setSeq(b *Skb, seq seqnum.Value) {
	b.Seq = seq
	k.cb(b, "seq", uint64(seq))
}

func (k *Kernel) setFlags(b *Skb, flags uint8) {
	b.flags = flags
	k.cb(b, "tcp_flags", uint64(flags))
}

// setLen stores len, and data_len beside it, which is never linear here.
func (k *Kernel) setLen(b *Skb, n uint32) {
	b.length = n
	k.anyOrder(
		func() { k.field(b.Addr, "sk_buff.len", uint64(n)) },
		func() { k.field(b.Addr, "sk_buff.data_len", uint64(n-(b.tail-b.data))) },
	)
}

func (k *Kernel) fragAt(b *Skb, i int) uint64 {
	return k.shared(b, "frags") + uint64(i)*k.at("skb_frag_t")
}

func (k *Kernel) setFragOff(b *Skb, i int, off uint32) {
	b.frags[i].off = off
	k.store32(k.fragAt(b, i)+k.at("skb_frag_t.offset"), off)
}

func (k *Kernel) setFragLen(b *Skb, i int, n uint32) {
	b.frags[i].n = n
	k.store32(k.fragAt(b, i)+k.at("skb_frag_t.len"), n)
}

// setFrag fills entry i, which nr_frags may or may not count.
func (k *Kernel) setFrag(b *Skb, i int, f frag) {
	for len(b.frags) <= i {
		b.frags = append(b.frags, frag{})
	}
	b.frags[i] = f
	at := k.fragAt(b, i)
	k.anyOrder(
		func() { k.store64(at+k.at("skb_frag_t.page"), k.page(f.va)) },
		func() { k.store32(at+k.at("skb_frag_t.offset"), f.off) },
		func() { k.store32(at+k.at("skb_frag_t.len"), f.n) },
	)
}

func (k *Kernel) setFrags(b *Skb, n int) {
	b.frags = b.frags[:n]
	k.store8(k.shared(b, "nr_frags"), uint8(n))
}

// pageWith puts bytes into a page of their own, at an offset.
func (k *Kernel) pageWith(b []byte, off uint32) frag {
	va := k.mem.Alloc((int(off) + len(b) + pageSize) &^ (pageSize - 1))
	k.mem.Poke(va+uint64(off), b)
	return frag{va: va, off: off, n: uint32(len(b))}
}

// free gives a sk_buff and its pages back.
func (k *Kernel) free(b *Skb) {
	for _, f := range b.frags {
		k.unref(f)
	}
	k.freed(b.Addr, int(k.at("sk_buff")))
	k.freed(b.Head, linearRoom)
}

// unref frees what a frag had of its page: the allocator gives out whole pages,
// but nobody may count on what was let go of.
func (k *Kernel) unref(f frag) { k.freed(f.va+uint64(f.off), int(f.n)) }

// ---- lists ---------------------------------------------------------------------

// list is a list_head, or a sk_buff_head, whose first members are one.
type list struct {
	head uint64
	link uint64 // offset of the link in a sk_buff
	skbs []*Skb
	qlen uint64 // address; 0: it has none
}

func (k *Kernel) initList(l *list) {
	k.store64(l.head, l.head)
	k.store64(l.head+8, l.head)
}

func (l *list) neighbours(i int) (prev, next uint64) {
	prev, next = l.head, l.head
	if i > 0 {
		prev = l.skbs[i-1].Addr + l.link
	}
	if i+1 < len(l.skbs) {
		next = l.skbs[i+1].Addr + l.link
	}
	return prev, next
}

// insert puts b at place i (include/linux/skbuff.h, __skb_insert).
func (k *Kernel) insert(l *list, i int, b *Skb) {
	l.skbs = append(l.skbs[:i], append([]*Skb{b}, l.skbs[i:]...)...)
	prev, next := l.neighbours(i)
	at := b.Addr + l.link
	k.store64(at, next)
	k.store64(at+8, prev)
	k.store64(next+8, at)
	k.store64(prev, at)
	k.count(l)
}

// unlink takes b out (__skb_unlink, list_del).
func (k *Kernel) unlink(l *list, b *Skb) {
	for i, x := range l.skbs {
		if x != b {
			continue
		}
		prev, next := l.neighbours(i)
		at := b.Addr + l.link
		l.skbs = append(l.skbs[:i:i], l.skbs[i+1:]...)
		k.count(l)
		if l.qlen != 0 {
			k.store64(at, 0)
			k.store64(at+8, 0)
		}
		k.store64(next+8, prev)
		k.store64(prev, next)
		return
	}
	panic("extracttest: not in this list")
}

func (k *Kernel) count(l *list) {
	if l.qlen != 0 {
		k.store32(l.qlen, uint32(len(l.skbs)))
	}
}
