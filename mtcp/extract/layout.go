// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"fmt"

	"lazystate/backdoor"
)

// layout is where a target's kernel keeps a TCP socket and its queues, by its
// own manifest.
type layout struct {
	sock   backdoor.Record // struct tcp_sock, whose first member is struct sock
	bits   map[string]bitField
	skb    backdoor.Record
	cb     backdoor.Record // struct tcp_skb_cb, inside sk_buff.cb
	shared backdoor.Record // struct skb_shared_info
	frag   fragLayout
	caName backdoor.Record

	receive, write, rtx, sorted uint64 // offsets of the queues' heads in a socket
	headNext, headPrev          uint64 // of struct sk_buff_head
	node                        uint64 // offset of the tree's node in a sk_buff
	left, right                 uint64 // of struct rb_node
	anchor                      uint64 // of the list in order of sending, in a sk_buff

	pages  pageLayout
	usec   bool   // timestamps may count microseconds
	maxLen uint64 // of a record: no kernel's structures are larger
}

// bitField is a bit field: its storage unit, and which bits of that it is.
type bitField struct {
	unit         string
	shift, width uint64
}

// fragLayout is skb_frag_t.
type fragLayout struct{ size, page, len, offset uint64 }

// pageLayout turns the address of a struct page into that of its memory
// (CONFIG_SPARSEMEM_VMEMMAP).
type pageLayout struct{ vmemmap, size, base uint64 }

// sockFields are what must be there; the names are those of the manifest.
var sockFields = []string{
	"sock.sk_family", "sock.sk_state", "sock.sk_num", "sock.sk_dport", "sock.sk_daddr", "sock.sk_rcv_saddr",
	"sock.sk_v6_daddr", "sock.sk_v6_rcv_saddr", "sock.sk_lock.owned", "sock.sk_lock.slock",
	"sock.sk_receive_queue", "sock.sk_write_queue", "sock.tcp_rtx_queue",
	"sock.sk_sndbuf", "sock.sk_rcvbuf", "sock.sk_shutdown", "sock.sk_protocol", "sock.sk_type", "sock.sk_filter",
	"inet_connection_sock.icsk_ulp_ops", "inet_connection_sock.icsk_ca_ops",
	"inet_connection_sock.icsk_backoff", "inet_connection_sock.icsk_retransmits",
	"tcp_sock.rcv_nxt", "tcp_sock.copied_seq", "tcp_sock.rcv_wup", "tcp_sock.snd_nxt", "tcp_sock.snd_una",
	"tcp_sock.snd_wl1", "tcp_sock.snd_wnd", "tcp_sock.max_window", "tcp_sock.rcv_wnd", "tcp_sock.window_clamp",
	"tcp_sock.write_seq", "tcp_sock.tsoffset", "tcp_sock.tcp_mstamp", "tcp_sock.tcp_wstamp_ns", "tcp_sock.tsorted_sent_queue",
	"tcp_sock.srtt_us", "tcp_sock.rttvar_us", "tcp_sock.snd_cwnd", "tcp_sock.snd_ssthresh", "tcp_sock.prior_cwnd",
	"tcp_sock.prior_ssthresh", "tcp_sock.retrans_out", "tcp_sock.urg_data", "tcp_sock.fastopen_rsk",
	"tcp_sock.bytes_received", "tcp_sock.bytes_acked",
}

// sockOptional are there if the kernel was configured for what they mean, or the module
// is young enough to tell.
var sockOptional = []string{"tcp_sock.md5sig_info", "tcp_sock.ao_info", "tcp_sock.is_mptcp", lastSent, lastCame}

// When a socket sent and received data last, in jiffies.
const (
	lastSent = "tcp_sock.lsndtime"
	lastCame = "inet_connection_sock.icsk_ack.lrcvtime"
)

var sockBits = []string{"sock.sk_userlocks", "inet_connection_sock.icsk_ca_state", "tcp_sock.nonagle", "tcp_sock.repair"}

// newLayout takes the offsets from the manifest; *backdoor.MissingError names
// all that are not there.
func newLayout(m *backdoor.Manifest) (*layout, error) {
	f := backdoor.NewFields(m)
	y := &layout{bits: map[string]bitField{}, maxLen: 16 << 10}
	for _, name := range sockFields {
		y.sock.Add(name, f.Member(name))
	}
	for _, name := range sockOptional {
		if at, ok := m.Offset(name); ok {
			y.sock.Add(name, at)
		}
	}
	for _, name := range sockBits {
		y.addBits(f, name, 0)
	}
	y.addHandshake(f)
	if _, y.usec = m.Offset("tcp_sock.tcp_usec_ts"); y.usec {
		y.addBits(f, "tcp_sock.tcp_usec_ts", 0)
	}
	y.addQueues(f)
	y.pages = pageLayout{f.Value("vmemmap_base"), f.Value("sizeof_page"), f.Value("page_offset_base")}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return y, y.check()
}

// addHandshake adds members of tcp_sock.rx_opt.
func (y *layout) addHandshake(f *backdoor.Fields) {
	base := f.Member("tcp_sock.rx_opt").Off
	mss := f.Member("tcp_options_received.mss_clamp")
	mss.Off += base
	y.sock.Add("mss_clamp", mss)
	for _, name := range []string{"tstamp_ok", "wscale_ok", "sack_ok", "snd_wscale", "rcv_wscale"} {
		y.addBits(f, "tcp_options_received."+name, base)
	}
}

func (y *layout) addBits(f *backdoor.Fields, name string, base uint32) {
	at := f.Member(name)
	at.Off += base
	y.sock.Add(name, at)
	y.bits[name] = bitField{name, f.Value(name + ".shift"), f.Value(name + ".width")}
}

func (y *layout) addQueues(f *backdoor.Fields) {
	off := func(name string) uint64 { return uint64(f.Member(name).Off) }
	y.skb = f.Record("sk_buff", "next", "prev", "rbnode", "cb", "len", "data_len", "tail", "end", "head", "data", "tcp_tsorted_anchor")
	y.cb = f.Record("tcp_skb_cb", "seq", "end_seq", "tcp_flags")
	y.shared = f.Record("skb_shared_info", "nr_frags", "flags", "frag_list", "frags")
	y.caName = f.Record("tcp_congestion_ops", "name")
	y.frag = fragLayout{off("skb_frag_t"), off("skb_frag_t.page"), off("skb_frag_t.len"), off("skb_frag_t.offset")}
	y.receive, y.write, y.rtx = off("sock.sk_receive_queue"), off("sock.sk_write_queue"), off("sock.tcp_rtx_queue")
	y.sorted = off("tcp_sock.tsorted_sent_queue")
	y.headNext, y.headPrev = off("sk_buff_head.next"), off("sk_buff_head.prev")
	y.node, y.anchor = off("sk_buff.rbnode"), off("sk_buff.tcp_tsorted_anchor")
	y.left, y.right = off("rb_node.rb_left"), off("rb_node.rb_right")
}

// check refuses what no compiler has laid out, so that no reader need fear the
// offsets: a manifest is a target's word, too.
func (y *layout) check() error {
	bad := func(what string, args ...any) error {
		return &backdoor.CorruptError{What: "manifest", Why: fmt.Sprintf(what, args...)}
	}
	for _, r := range []*backdoor.Record{&y.sock, &y.skb, &y.shared, &y.caName} {
		if r.Len() > y.maxLen {
			return bad("a structure of %d bytes", r.Len())
		}
	}
	for name, b := range y.bits {
		if b.width == 0 || b.width > 64 || b.shift > 64-b.width {
			return bad("%s is %d bits from %d on", name, b.width, b.shift)
		}
	}
	f := y.frag
	if f.size == 0 || f.size > 64 || f.page > f.size-8 || f.len > f.size-4 || f.offset > f.size-4 || f.size < 16 {
		return bad("skb_frag_t is %+v", f)
	}
	if y.pages.size < 8 || y.pages.size > 4096 || y.pages.vmemmap == 0 {
		return bad("struct page is %+v", y.pages)
	}
	if cb := y.skb.Bytes(make([]byte, y.skb.Len()), "cb"); uint64(len(cb)) < y.cb.End() {
		return bad("struct tcp_skb_cb of %d bytes in %d", y.cb.End(), len(cb))
	}
	return nil
}

// memory returns the address of what a page holds; false if no page has that
// address. Bit 0 marks memory that is not the CPU's (6.12, struct net_iov).
func (p pageLayout) memory(page uint64) (uint64, bool) {
	if page < p.vmemmap || (page-p.vmemmap)%p.size != 0 {
		return 0, false
	}
	frame := (page - p.vmemmap) / p.size
	if frame > 1<<40 { // 52 bits of physical address
		return 0, false
	}
	return p.base + frame<<12, true
}
