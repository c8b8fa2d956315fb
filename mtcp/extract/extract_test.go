// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lazystate/backdoor"
	"lazystate/backdoor/bdtest"
	"lazystate/mtcp"
	"lazystate/mtcp/extract/extracttest"
)

// onKernels runs a test over both layouts.
func onKernels(t *testing.T, test func(t *testing.T, r *rig)) {
	for _, kernel := range kernels {
		t.Run(kernel, func(t *testing.T) { test(t, newRig(t, kernel, 32<<20, 1)) })
	}
}

// busy is a socket with something everywhere: read, unread, unacknowledged, unsent.
func busy(s *extracttest.Sock) {
	s.Receive(900, false)
	s.Receive(1000, false)
	s.Acknowledge()
	s.Take(700)
	s.Receive(1, false)
	s.Write(9000)
	s.Transmit(3, 1448)
	s.Acknowledged(s.Una + 2000)
}

func TestExtract(t *testing.T) {
	onKernels(t, func(t *testing.T, r *rig) {
		s := r.Established(ends(3))
		busy(s)
		f := r.one(t, s)
		if err := wrong(&f, s); err != nil || f.Err != nil {
			t.Fatal(err, f.Err)
		}
		d := f.Dump
		if d.Local != ends(3).Local || d.Remote != ends(3).Remote || d.State != mtcp.Established {
			t.Errorf("%v of %v in %v", d.Local, d.Remote, d.State)
		}
		if len(d.In) != 1201 || len(d.Out) != 7000 || d.Una.Size(d.Nxt) != 3*1448-2000 || d.Ack.Size(d.RcvNxt) != 1 {
			t.Errorf("%d bytes in, %d out, %d of them sent, %d not acknowledged", len(d.In), len(d.Out), d.Una.Size(d.Nxt), d.Ack.Size(d.RcvNxt))
		}
		n := d.Negotiated
		// 5000.1 ms on the clock, 77 beside it, up to an even number.
		if n.MSS != 1460 || !n.Scaled || n.SendScale != 7 || n.RecvScale != 9 || !n.SACK || !n.Stamped || n.Timestamp != 5078 {
			t.Errorf("%+v", n)
		}
		if w := d.Window; w.Send != 1<<16 || w.SendMost != 1<<16 || w.Receive != 1<<16 || w.SendBuffer != 87040 || w.RecvBuffer != 131072 || w.Clamp != 65535 {
			t.Errorf("%+v", w)
		}
		if p := f.Path; p.Cwnd != 10 || p.Ssthresh != mtcp.Infinite || p.SRTT != time.Millisecond || p.RTTVar != 500*time.Microsecond || p.Retransmitting() {
			t.Errorf("%+v", p)
		}
	})
}

func TestExtractIPv6(t *testing.T) {
	onKernels(t, func(t *testing.T, r *rig) {
		for local, want := range map[string]string{"2001:db8::1": "2001:db8::1", "::ffff:10.1.2.3": "10.1.2.3"} {
			e := ends(1)
			e.Local, e.Remote = netip.AddrPortFrom(netip.MustParseAddr(local), 443), netip.AddrPortFrom(netip.MustParseAddr(local).Next(), 50000)
			s := r.Established(e)
			busy(s)
			f := r.one(t, s)
			if err := wrong(&f, s); err != nil || f.Err != nil {
				t.Fatal(err, f.Err)
			}
			if got := f.Dump.Local; got != netip.AddrPortFrom(netip.MustParseAddr(want), 443) {
				t.Errorf("%s is %v", local, got)
			}
		}
	})
}

// What the options of the handshake and the user's say, and the congestion
// control's name.
func TestExtractOptions(t *testing.T) {
	onKernels(t, func(t *testing.T, r *rig) {
		s := r.Established(ends(1))
		ca := r.machine.Alloc(512)
		r.machine.Poke(ca+r.machine.Offset("tcp_congestion_ops.name"), []byte("bbr\x00junk"))
		s.Set("inet_connection_sock.icsk_ca_ops", ca)
		s.SetBit("tcp_sock.nonagle", nagleOff)
		s.SetBit("sock.sk_userlocks", lockSend)
		s.Set("sock.sk_shutdown", rcvShutdown)
		s.SetBit("inet_connection_sock.icsk_ca_state", caRecovery)
		s.Set("tcp_sock.prior_cwnd", 44)
		f := r.one(t, s)
		if f.Err != nil {
			t.Fatal(f.Err)
		}
		d := f.Dump
		nodelay, _ := d.Options.Int("TCP_NODELAY")
		if _, cork := d.Options.Int("TCP_CORK"); nodelay != 1 || cork || d.Options.Congestion != "bbr" || d.Window.BufferLocks != lockSend || !d.Options.ShutRead {
			t.Errorf("%+v, locks %d", d.Options, d.Window.BufferLocks)
		}
		if start := f.Path.Start(); start.Cwnd != 44 || !start.Undone {
			t.Errorf("%+v", start)
		}
	})
}

// Microseconds are marked as tcprepair wants it.
func TestExtractMicroseconds(t *testing.T) {
	r := newRig(t, "6.12", 32<<20, 1)
	s := r.Established(ends(1))
	s.SetBit("tcp_sock.tcp_usec_ts", 1)
	if f := r.one(t, s); f.Err != nil || f.Dump.Negotiated.Timestamp != (5_000_100+77)|1 {
		t.Errorf("%d, %v", f.Dump.Negotiated.Timestamp, f.Err)
	}
}

// The peer has spoken last if its data came in a later jiffy than ours left. A module that
// does not tell has nobody speak.
func TestWhoSpokeLast(t *testing.T) {
	for _, kernel := range kernels {
		members, values := extracttest.Manifest(kernel)
		size := members["tcp_sock"].Off
		members[lastSent], members[lastCame] = backdoor.Member{Off: size - 8, Size: 4}, backdoor.Member{Off: size - 4, Size: 4}
		machine := bdtest.New(bdtest.WithRAM(32<<20), bdtest.WithManifest(members, values), bdtest.ByHand())
		target, err := backdoor.Open(t.Context(), machine.Memory())
		if err != nil {
			t.Fatal(err)
		}
		x, err := New(target, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{extracttest.New(machine, kernel, 1), machine, target, x}
		for _, c := range []struct {
			sent, came uint32
			want       bool
		}{{5, 6, true}, {6, 6, false}, {7, 6, false}, {0xffffffff, 1, true}, {1, 0xffffffff, false}} {
			s := r.Established(ends(1))
			machine.Poke(s.Addr+uint64(size)-8, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, c.sent), c.came))
			if f := r.one(t, s); f.Err != nil || f.Spoke != c.want {
				t.Errorf("%s: sent at %d, came at %d: %v, %v", kernel, c.sent, c.came, f.Spoke, f.Err)
			}
		}
		plain := newRig(t, kernel, 32<<20, 1)
		if f := plain.one(t, plain.Established(ends(1))); f.Err != nil || f.Spoke {
			t.Errorf("%s: %v, %v", kernel, f.Spoke, f.Err)
		}
	}
}

// What no kernel lets anybody restore is refused by name (DECISION 26).
func TestRefused(t *testing.T) {
	onKernels(t, func(t *testing.T, r *rig) {
		for name, what := range map[string]string{
			"inet_connection_sock.icsk_ulp_ops": "kTLS", "tcp_sock.is_mptcp": "MPTCP", "tcp_sock.md5sig_info": "MD5",
			"tcp_sock.fastopen_rsk": "Fast Open", "tcp_sock.urg_data": "urgent", "sock.sk_filter": "filter",
		} {
			s := r.Established(ends(1))
			s.Set(name, 1)
			var l *LostError
			if f := r.one(t, s); !errors.As(f.Err, &l) || l.Reason != Refused || !strings.Contains(l.Why, what) {
				t.Errorf("%s: %v", name, f.Err)
			}
		}
		s := r.Established(ends(1))
		s.SetBit("tcp_sock.repair", 1)
		if f := r.one(t, s); f.Err == nil {
			t.Error("a socket in repair mode")
		}
		s = r.Established(ends(1))
		s.Set("sock.sk_protocol", protocolMPTCP)
		if f := r.one(t, s); f.Err == nil || !strings.Contains(f.Err.Error(), "MPTCP") {
			t.Error(f.Err)
		}
	})
}

// The bound: 100 idle sessions in at most 10 remote batches, and with
// queues as many more as the longest chain has links.
func TestBatches(t *testing.T) {
	onKernels(t, func(t *testing.T, r *rig) {
		var idle, busies []uint64
		var socks []*extracttest.Sock
		for i := range 100 {
			s := r.Established(ends(i))
			s.Receive(300, false)
			s.Take(300)
			s.Write(500)
			s.Transmit(1, 1448)
			s.Acknowledged(s.Una + 500)
			idle = append(idle, s.Addr)
		}
		for i := range 20 {
			s := r.Established(ends(i))
			busy(s)
			busies, socks = append(busies, s.Addr), append(socks, s)
		}
		cost := func(addrs []uint64) ([]Found, uint64) {
			before := r.target.Stats()
			found, err := r.x.Extract(t.Context(), addrs)
			if err != nil {
				t.Fatal(err)
			}
			return found, r.target.Stats().Sub(before).Batches
		}
		found, batches := cost(idle)
		for i := range found {
			if found[i].Err != nil {
				t.Error(found[i].Err)
			}
		}
		if batches > 10 {
			t.Errorf("%d batches for %d idle sessions", batches, len(idle))
		}
		t.Logf("%d idle sessions: %d batches", len(idle), batches)
		found, batches = cost(busies)
		for i := range found {
			if err := wrong(&found[i], socks[i]); err != nil || found[i].Err != nil {
				t.Error(err, found[i].Err)
			}
		}
		if batches > 16 {
			t.Errorf("%d batches for %d busy sessions", batches, len(busies))
		}
		t.Logf("%d busy sessions: %d batches", len(busies), batches)
	})
}

// A list of n links costs about n/2 levels, and the tree its depth.
func TestLongChain(t *testing.T) {
	onKernels(t, func(t *testing.T, r *rig) {
		s := r.Established(ends(1))
		for s.Unsent() < 200_000 {
			s.Write(3000)
		}
		before := r.target.Stats()
		f := r.one(t, s)
		if err := wrong(&f, s); err != nil || f.Err != nil {
			t.Fatal(err, f.Err)
		}
		links := len(f.Dump.Out)/16000 + 1
		if n := r.target.Stats().Sub(before).Batches; int(n) > 10+links {
			t.Errorf("%d batches for a chain of about %d", n, links)
		}
	})
}

// What the manifest does not have is named, all of it.
func TestMissing(t *testing.T) {
	members, values := extracttest.Manifest("6.1")
	delete(members, "tcp_sock.tsorted_sent_queue")
	delete(members, "sk_buff.head")
	delete(values, "vmemmap_base")
	_, err := newLayout(manifestOf(t, members, values))
	var missing *backdoor.MissingError
	if !errors.As(err, &missing) || fmt.Sprint(missing.Names) != "[sk_buff.head tcp_sock.tsorted_sent_queue vmemmap_base]" {
		t.Errorf("%v", err)
	}
}
