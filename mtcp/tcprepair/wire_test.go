// SPDX-License-Identifier: Apache-2.0

package tcprepair

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lazystate/internal/netrig"
	"lazystate/mtcp"
)

// sample is a dump that no kernel was asked for.
func sample(s mtcp.State) *Dump {
	d := &Dump{
		Local: netip.MustParseAddrPort("192.0.2.1:80"), Remote: netip.MustParseAddrPort("198.51.100.7:40000"),
		Endpoint:   mtcp.Endpoint{State: s, Una: 0xfffffff0, Nxt: 2, Write: 10, RcvNxt: 5, Ack: 3, Unread: 4},
		Window:     Window{Wl1: 4, Send: 1 << 16, SendMost: 1 << 17, Receive: 4096, Clamp: 65535, SendBuffer: 87040, RecvBuffer: 131072, BufferLocks: 1},
		Negotiated: Negotiated{MSS: 1460, SendScale: 7, RecvScale: 9, Scaled: true, SACK: true, Stamped: true, Timestamp: 0xfffffffe},
		Options:    Options{Congestion: "cubic", Linger: -1, PeekOff: -1, SendTimeo: 1500000},
		In:         []byte("read"), Out: make([]byte, 26),
	}
	if s.OwnFin() {
		d.Out = d.Out[:25]
	}
	if s.OwnFinAcked() {
		d.Out, d.Una, d.Nxt = nil, d.Write, d.Write
	}
	netrig.Fill(d.Out, downStream, 0)
	d.Options.set(priority, 6)
	d.Options.set(len(optionTable)-1, -5)
	return d
}

func same(t *testing.T, got, want *Dump) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Options{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b []byte) bool { return string(a) == string(b) })); d != "" {
		t.Error(d)
	}
}

func TestWire(t *testing.T) {
	for _, s := range []mtcp.State{mtcp.Established, mtcp.CloseWait, mtcp.FinWait1, mtcp.FinWait2, mtcp.Closing, mtcp.LastAck} {
		d := sample(s)
		wire := d.AppendBinary(nil)
		got, err := Parse(wire, 1000)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		same(t, got, d)
		var size *SizeError
		if _, err := Parse(wire, len(d.In)+len(d.Out)-1); len(d.Out) > 0 && !errors.As(err, &size) {
			t.Errorf("%s: too large: %v", s, err)
		}
		for n := range wire {
			if _, err := Parse(wire[:n], 1000); err == nil {
				t.Errorf("%s: %d of %d bytes are enough", s, n, len(wire))
			}
		}
	}
	d := sample(mtcp.Established)
	d.Local, d.Remote = netip.MustParseAddrPort("[2001:db8::1]:80"), netip.MustParseAddrPort("[2001:db8::7]:40000")
	got, err := Parse(d.AppendBinary(nil), 1000)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, d)
}

// A younger server's dump has more in it than we know.
func TestWireOfAYoungerVersion(t *testing.T) {
	d := sample(mtcp.Established)
	b := d.AppendBinary(nil)
	head, opts := b[:8+fixedLen], b[8+fixedLen:]
	young := append([]byte(nil), head...)
	le.PutUint16(young[4:], wireVersion+1)
	le.PutUint16(young[6:], fixedLen+3)
	young = append(young, 1, 2, 3)
	young = append(young, opts[0]+1)
	young = append(young, 250, 9, 9, 9, 9)
	got, err := Parse(append(young, opts[1:]...), 1000)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, d)
}

// The places that have names are what they say.
func TestOptionTable(t *testing.T) {
	for place, label := range map[int]string{
		tos: "IP_TOS", tclass: "IPV6_TCLASS", priority: "SO_PRIORITY", keepAlive: "SO_KEEPALIVE", reuseAddr: "SO_REUSEADDR",
		noDelay: "TCP_NODELAY", keepIdle: "TCP_KEEPIDLE", keepIntvl: "TCP_KEEPINTVL", keepCnt: "TCP_KEEPCNT",
	} {
		if optionTable[place].label != label {
			t.Errorf("%d is %s, not %s", place, optionTable[place].label, label)
		}
	}
	o := NewOptions()
	if !o.Set("SO_MARK", 9) || o.Set("SO_LINGER", 9) {
		t.Error("what is carried is an int, and nothing else")
	}
	if v, ok := o.Int("SO_MARK"); v != 9 || !ok {
		t.Errorf("SO_MARK is %d, %v", v, ok)
	}
	if b := sample(mtcp.Established).appendFixed(nil); len(b) != fixedLen {
		t.Errorf("the fixed part has %d bytes, not %d", len(b), fixedLen)
	}
}

func TestCheckRefuses(t *testing.T) {
	for what, spoil := range map[string]func(d *Dump){
		"listening":    func(d *Dump) { d.State = mtcp.Listen },
		"time wait":    func(d *Dump) { d.State = mtcp.TimeWait },
		"no address":   func(d *Dump) { d.Local = netip.AddrPort{} },
		"two families": func(d *Dump) { d.Local = netip.MustParseAddrPort("[2001:db8::1]:80") },
		"link-local": func(d *Dump) {
			d.Local, d.Remote = netip.MustParseAddrPort("[fe80::1]:80"), netip.MustParseAddrPort("[fe80::2]:81")
		},
		"multicast":            func(d *Dump) { d.Remote = netip.MustParseAddrPort("224.0.0.1:80") },
		"port 0":               func(d *Dump) { d.Remote = netip.MustParseAddrPort("192.0.2.1:0") },
		"nxt before una":       func(d *Dump) { d.Nxt = d.Una - 1 },
		"write before nxt":     func(d *Dump) { d.Nxt = d.Write + 1 },
		"queue too short":      func(d *Dump) { d.Out = d.Out[1:] },
		"unread":               func(d *Dump) { d.Unread++ },
		"ack behind rcv_nxt":   func(d *Dump) { d.Ack = d.RcvNxt + 1 },
		"window":               func(d *Dump) { d.Window.Send = 1 << 31 },
		"larger than the most": func(d *Dump) { d.Window.SendMost = 0 },
		"scale":                func(d *Dump) { d.Negotiated.RecvScale = 15 },
		"no MSS":               func(d *Dump) { d.Negotiated.MSS = 0 },
	} {
		d := sample(mtcp.Established)
		spoil(d)
		if err := d.Check(); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	d := sample(mtcp.FinWait2)
	d.Una--
	if err := d.Check(); err == nil {
		t.Error("FIN_WAIT2 with a FIN that is not acknowledged: accepted")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []mtcp.State{mtcp.Established, mtcp.FinWait2, mtcp.LastAck} {
		f.Add(sample(s).AppendBinary(nil))
	}
	f.Add([]byte(wireMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b, 1<<16)
		if err != nil {
			return
		}
		if len(d.In)+len(d.Out) > 1<<16 || d.sent() > len(d.Out) {
			t.Fatalf("in %d, out %d, sent %d", len(d.In), len(d.Out), d.sent())
		}
		again, err := Parse(d.AppendBinary(nil), 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, d)
	})
}
