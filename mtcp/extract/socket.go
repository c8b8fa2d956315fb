// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
	"lazystate/mtcp/tcprepair"
)

// socket is a copy of a struct tcp_sock, taken apart and not yet believed.
type socket struct {
	addr          uint64
	local, remote netip.AddrPort
	state         mtcp.State
	held          bool // somebody was inside
	owned         bool // a process was; else a CPU that had a segment

	rcvNxt, copied, rcvWup        seqnum.Value
	sndUna, sndNxt, writeSeq, wl1 seqnum.Value
	bytesReceived, bytesAcked     uint64

	window     tcprepair.Window
	negotiated tcprepair.Negotiated
	shutRead   bool
	nodelay    bool
	cork       bool
	spoke      bool   // the peer, since this end did
	ca         uint64 // struct tcp_congestion_ops
	path       mtcp.Path
}

// What the kernel's constants are called there.
const (
	lockSend      = 1 // SOCK_SNDBUF_LOCK
	lockReceive   = 2 // SOCK_RCVBUF_LOCK
	rcvShutdown   = 1 // RCV_SHUTDOWN
	nagleOff      = 1 // TCP_NAGLE_OFF
	nagleCork     = 2 // TCP_NAGLE_CORK
	caRecovery    = 3 // TCP_CA_Recovery, and TCP_CA_Loss behind it
	rttFraction   = 3 // srtt_us is shifted left by it
	protocolMPTCP = 262
)

// sockReader reads members of one copy.
type sockReader struct {
	y   *layout
	buf []byte
}

func (r sockReader) word(name string) uint64      { return r.y.sock.Word(r.buf, name) }
func (r sockReader) seq(name string) seqnum.Value { return seqnum.Value(r.u32(name)) }
func (r sockReader) u32(name string) uint32       { return uint32(r.word(name)) }

func (r sockReader) bits(name string) uint64 {
	b, ok := r.y.bits[name]
	if !ok {
		return 0
	}
	return r.word(b.unit) >> b.shift & (1<<b.width - 1)
}

func (y *layout) decode(addr uint64, buf []byte) (*socket, error) {
	r := sockReader{y, buf}
	s := &socket{
		addr: addr, state: mtcp.State(r.word("sock.sk_state")),
		owned:  r.u32("sock.sk_lock.owned") != 0,
		rcvNxt: r.seq("tcp_sock.rcv_nxt"), copied: r.seq("tcp_sock.copied_seq"), rcvWup: r.seq("tcp_sock.rcv_wup"),
		sndUna: r.seq("tcp_sock.snd_una"), sndNxt: r.seq("tcp_sock.snd_nxt"), writeSeq: r.seq("tcp_sock.write_seq"),
		wl1: r.seq("tcp_sock.snd_wl1"), bytesReceived: r.word("tcp_sock.bytes_received"), bytesAcked: r.word("tcp_sock.bytes_acked"),
		shutRead: r.word("sock.sk_shutdown")&rcvShutdown != 0,
		nodelay:  r.bits("tcp_sock.nonagle")&nagleOff != 0, cork: r.bits("tcp_sock.nonagle")&nagleCork != 0,
		ca:    r.word("inet_connection_sock.icsk_ca_ops"),
		spoke: int32(r.u32(lastCame)-r.u32(lastSent)) > 0, // 0 and 0 where nobody tells
	}
	s.held = s.owned || r.u32("sock.sk_lock.slock") != 0
	if err := r.refuse(); err != nil {
		return s, err
	}
	if err := r.ends(s); err != nil {
		return s, err
	}
	if !s.state.Movable() {
		return s, lost(Unmovable, "%v", s.state)
	}
	r.flow(s)
	r.handshake(s)
	r.learnt(s)
	return s, nil
}

// refuse names what a socket has that cannot be restored (DECISION 26).
func (r sockReader) refuse() error {
	if kind, protocol := r.word("sock.sk_type")&0xffff, r.word("sock.sk_protocol"); kind != unix.SOCK_STREAM || protocol != unix.IPPROTO_TCP && protocol != protocolMPTCP {
		return lost(Damaged, "type %d, protocol %d", kind, protocol)
	} else if protocol == protocolMPTCP {
		return lost(Refused, "MPTCP")
	}
	for _, c := range []struct {
		value uint64
		what  string
	}{
		{r.word("inet_connection_sock.icsk_ulp_ops"), "an upper layer protocol (kTLS)"},
		{r.word("tcp_sock.is_mptcp") & 0xff, "MPTCP"},
		{r.word("tcp_sock.md5sig_info"), "MD5 signatures"},
		{r.word("tcp_sock.ao_info"), "TCP-AO"},
		{r.word("tcp_sock.fastopen_rsk"), "a handshake of Fast Open that is not over"},
		{r.word("tcp_sock.urg_data") & 0xffff, "urgent data"},
		{r.word("sock.sk_filter"), "a socket filter"},
		{r.bits("tcp_sock.repair"), "repair mode: it was being moved"},
	} {
		if c.value != 0 {
			return lost(Refused, "%s", c.what)
		}
	}
	return nil
}

func (r sockReader) ends(s *socket) error {
	bytes := func(name string) []byte { return r.y.sock.Bytes(r.buf, name) }
	local, port := uint16(r.word("sock.sk_num")), bytes("sock.sk_dport")
	if len(port) != 2 {
		return lost(Damaged, "a port of %d bytes", len(port))
	}
	remote := binary.BigEndian.Uint16(port)
	var from, to []byte
	switch family := r.word("sock.sk_family") & 0xffff; family {
	case unix.AF_INET:
		from, to = bytes("sock.sk_rcv_saddr"), bytes("sock.sk_daddr")
	case unix.AF_INET6:
		from, to = bytes("sock.sk_v6_rcv_saddr"), bytes("sock.sk_v6_daddr")
	default:
		return lost(Damaged, "address family %d", family)
	}
	src, ok := netip.AddrFromSlice(from)
	dst, ok2 := netip.AddrFromSlice(to)
	if !ok || !ok2 {
		return lost(Damaged, "addresses of %d and %d bytes", len(from), len(to))
	}
	s.local, s.remote = netip.AddrPortFrom(src.Unmap(), local), netip.AddrPortFrom(dst.Unmap(), remote)
	return nil
}

// flow is what both sides have granted. A socket that is held may have raised
// what is granted and not yet the most that ever was.
func (r sockReader) flow(s *socket) {
	w := &s.window
	w.Wl1, w.Send, w.Receive = s.wl1, r.u32("tcp_sock.snd_wnd"), r.u32("tcp_sock.rcv_wnd")
	w.SendMost = max(w.Send, r.u32("tcp_sock.max_window"))
	w.Clamp = int32(r.u32("tcp_sock.window_clamp"))
	w.SendBuffer, w.RecvBuffer = int32(r.u32("sock.sk_sndbuf")), int32(r.u32("sock.sk_rcvbuf"))
	w.BufferLocks = int32(r.bits("sock.sk_userlocks") & (lockSend | lockReceive))
}

func (r sockReader) handshake(s *socket) {
	const of = "tcp_options_received."
	n := &s.negotiated
	n.MSS = uint32(r.word("mss_clamp") & 0xffff)
	n.Scaled, n.SACK, n.Stamped = r.bits(of+"wscale_ok") != 0, r.bits(of+"sack_ok")&1 != 0, r.bits(of+"tstamp_ok") != 0
	if n.Scaled {
		n.SendScale, n.RecvScale = uint8(r.bits(of+"snd_wscale")), uint8(r.bits(of+"rcv_wscale"))
	}
	n.Timestamp = r.stamp()
}

// stamp is no earlier than what the socket has sent last. Paced segments are
// stamped with the time at which they are to leave, which may be later than that
// at which the socket was busy last (net/ipv4/tcp_output.c, __tcp_transmit_skb).
func (r sockReader) stamp() uint32 {
	busy := r.word("tcp_sock.tcp_mstamp")
	left := r.word("tcp_sock.tcp_wstamp_ns") / uint64(time.Microsecond)
	if left < busy {
		left = busy
	}
	offset := r.u32("tcp_sock.tsoffset")
	if r.bits("tcp_sock.tcp_usec_ts") != 0 {
		return (uint32(left) + offset) | 1
	}
	return (uint32(left/1000) + offset + 1) &^ 1
}

// learnt is what the socket knows of the path to its peer (§3.6.5, step 6).
func (r sockReader) learnt(s *socket) {
	us := func(v uint32) time.Duration { return time.Duration(v) * time.Microsecond }
	s.path = mtcp.Path{
		Cwnd: r.u32("tcp_sock.snd_cwnd"), Ssthresh: r.u32("tcp_sock.snd_ssthresh"),
		PriorCwnd: r.u32("tcp_sock.prior_cwnd"), PriorSsthresh: r.u32("tcp_sock.prior_ssthresh"),
		Repairing:   r.bits("inet_connection_sock.icsk_ca_state") >= caRecovery,
		Retransmits: uint32(r.word("inet_connection_sock.icsk_retransmits") & 0xff), Outstanding: r.u32("tcp_sock.retrans_out"),
		Backoff: uint32(r.word("inet_connection_sock.icsk_backoff") & 0xff),
		SRTT:    us(r.u32("tcp_sock.srtt_us") >> rttFraction), RTTVar: us(r.u32("tcp_sock.rttvar_us")),
	}
}

// options are those that the socket itself shows; the user's others are in its
// continuation box.
func (s *socket) options(congestion string) tcprepair.Options {
	o := tcprepair.NewOptions()
	o.Congestion = congestion
	o.ShutRead = s.shutRead && !s.state.PeerFin()
	for label, on := range map[string]bool{"TCP_NODELAY": s.nodelay, "TCP_CORK": s.cork} {
		if on {
			o.Set(label, 1)
		}
	}
	return o
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
