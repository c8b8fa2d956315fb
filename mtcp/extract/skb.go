// SPDX-License-Identifier: Apache-2.0

package extract

import "lazystate/internal/seqnum"

// skb is one sk_buff of a queue: a run of sequence numbers and the bytes that
// go with them.
type skb struct {
	addr          uint64
	next, prev    uint64 // in a list
	left, right   uint64 // in the tree
	later, former uint64 // in the list in order of sending

	seq, end seqnum.Value // with SYN and FIN
	syn, fin bool

	head, data, shared uint64 // addresses
	linear             uint64 // bytes from data on

	frags    []frag
	spare    []frag // what the table has behind them
	children []*skb // of frag_list, whose bytes follow
	parts    [][]byte
	changing bool // its pages may be somebody else's, too: sendfile, zero copy
	wrong    error
}

// frag is a run of bytes in a page, or in several that follow one another.
type frag struct{ page, off, n uint64 }

// Flags of TCP in tcp_skb_cb.tcp_flags (RFC 9293, section 3.1).
const (
	flagFIN = 1
	flagSYN = 2
)

// Of skb_shared_info.flags: SKBFL_ZEROCOPY_ENABLE, SKBFL_SHARED_FRAG.
const flagsChanging = 1 | 2

// maxBytes is more than one sk_buff can have: 17 frags or a frag_list, BIG TCP
// (include/linux/netdevice.h, GSO_MAX_SIZE).
const maxBytes = 1 << 20

func (y *layout) decodeSkb(addr uint64, b []byte) *skb {
	w := func(name string) uint64 { return y.skb.Word(b, name) }
	k := &skb{addr: addr, next: w("next"), prev: w("prev"), head: w("head"), data: w("data")}
	node := y.skb.Bytes(b, "rbnode")
	k.left, k.right = wordIn(node, y.left), wordIn(node, y.right)
	anchor := y.skb.Bytes(b, "tcp_tsorted_anchor")
	k.later, k.former = wordIn(anchor, 0), wordIn(anchor, 8)
	cb := y.cb.In(y.skb.Bytes(b, "cb"))
	c := func(name string) uint64 { return y.cb.Word(cb, name) }
	k.seq, k.end = seqnum.Value(uint32(c("seq"))), seqnum.Value(uint32(c("end_seq")))
	k.syn, k.fin = c("tcp_flags")&flagSYN != 0, c("tcp_flags")&flagFIN != 0
	k.room(uint64(uint32(w("tail"))), uint64(uint32(w("end"))))
	return k
}

// room checks the linear part; tail and end are offsets from head. Its length
// is that of tail, for len and data_len change one after the other.
func (k *skb) room(tail, end uint64) {
	off := k.data - k.head
	if k.data < k.head || off > end || tail < off || tail > end || end > maxBytes {
		k.wrong = lost(Damaged, "sk_buff %#x: data at %d, tail %d, end %d", k.addr, int64(off), tail, end)
		return
	}
	k.shared, k.linear = k.head+end, tail-off
}

func wordIn(b []byte, off uint64) uint64 {
	if off+8 > uint64(len(b)) {
		return 0
	}
	return le64(b[off:])
}

// decodeShared takes struct skb_shared_info apart: frags, and the first of
// frag_list.
func (y *layout) decodeShared(k *skb, b []byte) (list uint64) {
	count := y.shared.Word(b, "nr_frags") & 0xff
	all := y.shared.Bytes(b, "frags")
	k.changing = y.shared.Word(b, "flags")&flagsChanging != 0
	if count*y.frag.size > uint64(len(all)) {
		k.wrong = lost(Damaged, "sk_buff %#x: %d frags", k.addr, count)
		return 0
	}
	var table []frag
	for ; uint64(len(all)) >= y.frag.size; all = all[y.frag.size:] {
		table = append(table, frag{le64(all[y.frag.page:]), uint64(le32(all[y.frag.offset:])), uint64(le32(all[y.frag.len:]))})
	}
	k.frags, k.spare = table[:count], table[count:]
	return y.shared.Word(b, "frag_list")
}

// first and last are the numbers of its bytes: a SYN comes before them, a FIN
// behind.
func (k *skb) first() seqnum.Value {
	if k.syn {
		return k.seq + 1
	}
	return k.seq
}

func (k *skb) last() seqnum.Value {
	if k.fin {
		return k.end - 1
	}
	return k.end
}

// numbers is how many bytes its numbers are for; false if they make no sense.
func (k *skb) numbers() (uint64, bool) {
	n := int32(k.last() - k.first())
	return uint64(max(n, 0)), n >= 0 && n <= maxBytes
}

// bytes is how many it has.
func (k *skb) bytes() uint64 {
	n := k.linear
	for _, f := range k.frags {
		n += f.n
	}
	for _, c := range k.children {
		n += c.bytes()
	}
	return n
}

// doubled reports whether two of its frags have bytes in common, as while frags
// are moved to the front (net/core/skbuff.c, __pskb_trim_head, skb_shift).
func (k *skb) doubled() bool {
	for i, a := range k.frags {
		for _, b := range k.frags[:i] {
			if a.page == b.page && a.off < b.off+b.n && b.off < a.off+a.n {
				return true
			}
		}
	}
	return false
}

// giving reports whether another is being given bytes of k's first frags, and
// has not yet said so: the one that is given in part begins later already, and
// may not have become shorter (net/core/skbuff.c, skb_shift).
func (k *skb) giving(to *skb) bool {
	for i, a := range to.spare[:min(len(to.spare), len(k.frags))] {
		if b := k.frags[i]; a.n > 0 && a.page == b.page && a.off+a.n == b.off {
			return true
		}
	}
	return false
}

// payload joins what was read. It is nil if something could not be read.
func (k *skb) payload() []byte {
	if k.wrong != nil {
		return nil
	}
	b := make([]byte, 0, k.bytes())
	for _, p := range k.parts {
		b = append(b, p...)
	}
	for _, c := range k.children {
		p := c.payload()
		if p == nil {
			k.wrong = c.wrong
			return nil
		}
		b = append(b, p...)
	}
	return b
}
