// SPDX-License-Identifier: Apache-2.0

package extracttest

import (
	"encoding/binary"
	"net/netip"

	"lazystate/internal/seqnum"
	"lazystate/mtcp"
)

// Ends are those of a connection, and where its numbers begin: First bytes.
type Ends struct {
	Local, Remote netip.AddrPort
	Receive, Send seqnum.Value
}

// Truth is what the world outside the kernel knows. A FIN takes a number.
type Truth struct {
	Acked   seqnum.Value // the peer was told that all before it is here
	Wire    seqnum.Value // a device may have had all before it
	Una     seqnum.Value // the peer's acknowledgement, as the socket knows it
	Read    seqnum.Value // a call that read up to here has returned
	Written seqnum.Value // a call that wrote up to here has returned
	Begun   seqnum.Value // one that will write up to here has begun
	Came    seqnum.Value // the peer has sent so far
}

// Sock is a TCP socket.
type Sock struct {
	Addr uint64
	Truth
	State mtcp.State

	k                    *Kernel
	rx, tx, sorted       list
	rtx                  tree
	rcvNxt, copied       seqnum.Value
	rcvWup               seqnum.Value
	sndUna, sndNxt       seqnum.Value
	writeSeq             seqnum.Value
	received, acked      uint64
	owned                bool
	first                Ends
	window, windowToSend uint32
}

// Established makes a socket to which nothing has happened yet.
func (k *Kernel) Established(e Ends) *Sock {
	s := &Sock{k: k, Addr: k.mem.Alloc(int(k.at("tcp_sock"))), first: e, window: 1 << 16, windowToSend: 1 << 16}
	s.Truth = Truth{Acked: e.Receive, Wire: e.Send, Una: e.Send, Read: e.Receive, Written: e.Send, Begun: e.Send, Came: e.Receive}
	s.rx = list{head: s.Addr + k.at("sock.sk_receive_queue"), qlen: s.Addr + k.at("sock.sk_receive_queue") + k.at("sk_buff_head.qlen")}
	s.tx = list{head: s.Addr + k.at("sock.sk_write_queue"), qlen: s.Addr + k.at("sock.sk_write_queue") + k.at("sk_buff_head.qlen")}
	s.sorted = list{head: s.Addr + k.at("tcp_sock.tsorted_sent_queue"), link: k.at("sk_buff.tcp_tsorted_anchor")}
	s.rtx.addr = s.Addr + k.at("sock.tcp_rtx_queue")
	k.quietly(func() { s.fill(e) })
	return s
}

func (s *Sock) fill(e Ends) {
	s.ends(e)
	for _, l := range []*list{&s.rx, &s.tx, &s.sorted} {
		s.k.initList(l)
	}
	for name, v := range map[string]uint64{
		"sock.sk_type": 1, "sock.sk_protocol": 6, "sock.sk_sndbuf": 87040, "sock.sk_rcvbuf": 131072,
		"tcp_sock.snd_wl1": uint64(uint32(e.Receive - 1)), "tcp_sock.snd_wnd": uint64(s.windowToSend), "tcp_sock.max_window": uint64(s.windowToSend),
		"tcp_sock.rcv_wnd": uint64(s.window), "tcp_sock.window_clamp": 65535, "tcp_sock.tcp_mstamp": 5_000_000, "tcp_sock.tcp_wstamp_ns": 5_000_100_000,
		"tcp_sock.tsoffset": 77, "tcp_sock.snd_cwnd": 10, "tcp_sock.snd_ssthresh": mtcp.Infinite, "tcp_sock.srtt_us": 8000, "tcp_sock.rttvar_us": 500,
	} {
		s.set(name, v)
	}
	rx := s.Addr + s.k.at("tcp_sock.rx_opt")
	s.k.field(rx, "tcp_options_received.mss_clamp", 1460)
	for name, v := range map[string]uint64{"tstamp_ok": 1, "wscale_ok": 1, "sack_ok": 1, "snd_wscale": 7, "rcv_wscale": 9} {
		s.k.bit(rx, "tcp_options_received."+name, v)
	}
	s.setState(mtcp.Established)
	s.rcvNxt, s.copied, s.rcvWup = e.Receive, e.Receive, e.Receive
	s.sndUna, s.sndNxt, s.writeSeq = e.Send, e.Send, e.Send
	for name, v := range map[string]seqnum.Value{
		"rcv_nxt": s.rcvNxt, "copied_seq": s.copied, "rcv_wup": s.rcvWup, "snd_una": s.sndUna, "snd_nxt": s.sndNxt, "write_seq": s.writeSeq,
	} {
		s.set("tcp_sock."+name, uint64(v))
	}
}

func (s *Sock) ends(e Ends) {
	s.set("sock.sk_num", uint64(e.Local.Port()))
	s.set("sock.sk_dport", uint64(binary.LittleEndian.Uint16(binary.BigEndian.AppendUint16(nil, e.Remote.Port()))))
	if e.Local.Addr().Is4() {
		s.set("sock.sk_family", 2)
		s.k.store(s.Addr+s.k.at("sock.sk_rcv_saddr"), e.Local.Addr().AsSlice())
		s.k.store(s.Addr+s.k.at("sock.sk_daddr"), e.Remote.Addr().AsSlice())
		return
	}
	s.set("sock.sk_family", 10)
	s.k.store(s.Addr+s.k.at("sock.sk_v6_rcv_saddr"), e.Local.Addr().AsSlice())
	s.k.store(s.Addr+s.k.at("sock.sk_v6_daddr"), e.Remote.Addr().AsSlice())
}

// set stores a member.
func (s *Sock) set(name string, v uint64) { s.k.field(s.Addr, name, v) }

// Set stores a member that no operation of this package touches.
func (s *Sock) Set(name string, v uint64) { s.set(name, v) }

// SetBit stores a bit field, as Set.
func (s *Sock) SetBit(name string, v uint64) { s.k.bit(s.Addr, name, v) }

func (s *Sock) setSeq(name string, to *seqnum.Value, v seqnum.Value) {
	*to = v
	s.set("tcp_sock."+name, uint64(v))
}

func (s *Sock) setState(to mtcp.State) {
	s.State = to
	s.set("sock.sk_state", uint64(to))
}

// process does what a process does under lock_sock.
func (s *Sock) process(f func()) {
	s.set("sock.sk_lock.slock", 1)
	s.owned = true
	s.set("sock.sk_lock.owned", 1)
	s.set("sock.sk_lock.slock", 0)
	f()
	s.set("sock.sk_lock.slock", 1)
	s.owned = false
	s.set("sock.sk_lock.owned", 0)
	s.set("sock.sk_lock.slock", 0)
}

// segment does what a CPU does that has one: under the spin lock, or later, when
// the process that has the socket releases it.
func (s *Sock) segment(f func()) {
	if s.k.rng.IntN(3) == 0 {
		s.process(f)
		return
	}
	s.set("sock.sk_lock.slock", 1)
	f()
	s.set("sock.sk_lock.slock", 0)
}

// Unread is how many bytes are in the receive queue.
func (s *Sock) Unread() int {
	n := int(s.copied.Size(s.rcvNxt))
	if s.State.PeerFin() && n > 0 {
		n--
	}
	return n
}

// Unsent is how many bytes are in the write queue, and Unacked in the other.
func (s *Sock) Unsent() int { return int(s.sndNxt.Size(s.writeSeq)) }

// Unacked is how many numbers the peer has not acknowledged.
func (s *Sock) Unacked() int { return int(s.sndUna.Size(s.sndNxt)) }

// OffsetFirsts are the numbers of the first bytes.
func (s *Sock) OffsetFirsts() (receive, send seqnum.Value) { return s.first.Receive, s.first.Send }
