// SPDX-License-Identifier: Apache-2.0

package netio

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazystate/verbs/roce/frame"
)

// station is an l2Port on one end of a socket pair, whose other end is the
// segment.
func station(t testing.TB, o L2Options, vnet int) (p *l2Port, segment int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fds[1]) })
	local := netip.MustParseAddrPort("10.0.0.9:4791")
	o.MAC = macOf(local.Addr())
	p = &l2Port{fd: fds[0], local: local, opt: o, vnet: vnet, start: time.Now(), host: frame.Host{MAC: o.MAC, Addrs: []netip.Addr{local.Addr()}}}
	p.near.init()
	for range 4 {
		p.bufs = append(p.bufs, make([]byte, frameBytes))
	}
	t.Cleanup(func() { p.Close() })
	return p, fds[1]
}

// heard returns the frames that the station has sent.
func heard(t *testing.T, segment int) (frames [][]byte) {
	t.Helper()
	for {
		b := make([]byte, 4096)
		n, err := unix.Read(segment, b)
		if err != nil {
			return frames
		}
		frames = append(frames, b[:n])
	}
}

var (
	friend    = frame.Host{MAC: frame.MAC{2, 0, 0, 0, 0, 1}, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	friendly  = netip.MustParseAddrPort("10.0.0.1:4791")
	elsewhere = netip.MustParseAddrPort("10.7.7.7:4791")
)

func TestPacketsWaitForTheirNeighbor(t *testing.T) {
	p, segment := station(t, L2Options{}, 0)
	for i := range maxKept + 4 {
		n, err := p.Send([]Datagram{{Peer: friendly, Data: []byte{byte(i)}}})
		if n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	asked := heard(t, segment)
	if len(asked) != 1 {
		t.Fatalf("%d frames before the neighbor is known", len(asked))
	}
	answer := make([]byte, frame.MaxNeighbor)
	k := friend.Answer(answer, asked[0])
	if k == 0 {
		t.Fatalf("no question about the friend: %x", asked[0])
	}
	_, err := unix.Write(segment, answer[:k])
	check(t, err)
	if n, err := p.Recv(make([]Datagram, 4)); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	got := heard(t, segment)
	if len(got) != maxKept {
		t.Fatalf("%d packets came, the newest %d were to be kept", len(got), maxKept)
	}
	for i, f := range got {
		var u frame.Datagram
		check(t, u.Parse(f))
		if u.Payload[0] != byte(i+4) || u.DstMAC != friend.MAC || u.Dst != friendly || u.Src != p.local || u.ID != 0 {
			t.Errorf("packet %d: %+v", i, u)
		}
	}
}

func TestOffTheSegmentIsTheGateway(t *testing.T) {
	p, segment := station(t, L2Options{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: friend.Addrs[0]}, 0)
	_, err := p.Send([]Datagram{{Peer: elsewhere, Data: []byte("x")}})
	check(t, err)
	answer := make([]byte, frame.MaxNeighbor)
	if asked := heard(t, segment); len(asked) != 1 || friend.Answer(answer, asked[0]) == 0 {
		t.Errorf("asked %x, want a question about the gateway", asked)
	}
}

// A stranger's frames, and those of a segment's chatter, take no room.
func TestOnlyOursIsReceived(t *testing.T) {
	p, segment := station(t, L2Options{}, 0)
	good := frame.Datagram{SrcMAC: friend.MAC, DstMAC: p.host.MAC, Src: friendly, Dst: p.local}
	otherMAC, otherAddr, otherPort := good, good, good
	otherMAC.DstMAC[5]++
	otherAddr.Dst = elsewhere
	otherPort.Dst = netip.AddrPortFrom(p.local.Addr(), 53)
	for _, u := range []frame.Datagram{otherMAC, otherAddr, otherPort, good} {
		b := make([]byte, 200)
		n := u.PutHeader(b, 40)
		_, err := unix.Write(segment, b[:n+40])
		check(t, err)
	}
	ds := make([]Datagram, 4)
	n, err := p.Recv(ds)
	if n != 1 || err != nil || ds[0].Peer != friendly || len(ds[0].Data) != 40 || p.Stats().Ignored != 3 {
		t.Errorf("%d, %v, %+v, %+v", n, err, ds[0], p.Stats())
	}
	if mac, ok := p.near.find(friendly.Addr()); !ok || mac != friend.MAC {
		t.Errorf("who sent is at %v, %v", mac, ok)
	}
	for i := range 2 * maxNeighbors {
		p.learn(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), friend.MAC)
	}
	if len(p.near.known) > maxNeighbors {
		t.Errorf("%d neighbors", len(p.near.known))
	}
}

// Senders that were invented, and never answer, keep nobody out.
func TestInventedNeighborsKeepNobodyOut(t *testing.T) {
	p, _ := station(t, L2Options{}, 0)
	for i := range 2 * maxNeighbors {
		a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		p.near.keep(a, &Datagram{Peer: friendly})
		if p.near.asked[a] == nil || len(p.near.asked) > maxNeighbors {
			t.Fatalf("%v: %d are asked for", a, len(p.near.asked))
		}
	}
	for i := range 2 * maxNeighbors {
		a := netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)})
		p.near.keep(a, &Datagram{Peer: friendly})
		if p.learn(a, friend.MAC); len(p.near.known) > maxNeighbors {
			t.Fatalf("%d neighbors", len(p.near.known))
		}
		if _, ok := p.near.find(a); !ok {
			t.Fatalf("%v has answered, and is not known", a)
		}
	}
}

// A segment that is full of others' frames does not keep its listener from all else.
func TestChatterEndsARecv(t *testing.T) {
	p, segment := station(t, L2Options{}, 0)
	chatter := make([]byte, 60) // of no protocol
	said := 0
	for said < framesAtOnce+8 {
		if _, err := unix.Write(segment, chatter); err != nil {
			break
		}
		said++
	}
	ds := make([]Datagram, 4)
	n, err := p.Recv(ds)
	check(t, err)
	left := 0
	for b := make([]byte, 100); ; left++ {
		if _, err := rawRead(p.fd, b); err != nil {
			break
		}
	}
	if want := max(0, said-framesAtOnce); n != 0 || left != want {
		t.Errorf("of %d frames %d are left, want %d", said, left, want)
	}
}

// What a kernel left whole for whoever can cut it says so in its header.
func TestTrainsKeepTheirSegments(t *testing.T) {
	p, segment := station(t, L2Options{}, vnetLen)
	u := frame.Datagram{SrcMAC: friend.MAC, DstMAC: p.host.MAC, Src: friendly, Dst: p.local}
	b := make([]byte, vnetLen+200+2500)
	b[1], b[4], b[5] = vnetUDPL4, 1000&0xff, 1000>>8
	n := u.PutHeader(b[vnetLen:], 2500)
	_, err := unix.Write(segment, b[:vnetLen+n+2500])
	check(t, err)
	ds := make([]Datagram, 1)
	if n, err := p.Recv(ds); n != 1 || err != nil || ds[0].Segment != 1000 || ds[0].count() != 3 {
		t.Errorf("%d, %v, %+v", n, err, ds[0])
	}
}

func TestL2NeedsALink(t *testing.T) {
	local := netip.MustParseAddrPort("10.0.0.9:4791")
	for _, o := range []L2Options{{}, {TAP: "a", Interface: "b"}, {Interface: "no-such-link"}, {TAP: "a-name-that-is-too-long"}} {
		if p, err := ListenL2(local, o); err == nil {
			p.Close()
			t.Errorf("%+v: listening", o)
		}
	}
	if macOf(netip.MustParseAddr("10.0.0.1")) == macOf(netip.MustParseAddr("10.0.0.2")) {
		t.Error("two addresses have one MAC address")
	}
}

func FuzzFrames(f *testing.F) {
	b := make([]byte, 200)
	u := frame.Datagram{SrcMAC: friend.MAC, DstMAC: macOf(netip.MustParseAddr("10.0.0.9")), Src: friendly, Dst: netip.MustParseAddrPort("10.0.0.9:4791")}
	n := u.PutHeader(b, 40)
	f.Add(b[:n+40], false)
	f.Add(append(make([]byte, vnetLen), b[:n+40]...), true)
	n = friend.Ask(b, netip.MustParseAddr("10.0.0.9"))
	f.Add(b[:n], false)
	f.Fuzz(func(t *testing.T, b []byte, vnet bool) {
		head := 0
		if vnet {
			head = vnetLen
		}
		p, _ := station(t, L2Options{}, head)
		var d Datagram
		if !p.received(&d, b) {
			return
		}
		total := 0
		for pkt := range d.Packets() {
			total += len(pkt)
		}
		if total != len(d.Data) || len(d.Data) > len(b) {
			t.Errorf("%d bytes in packets, %d in the datagram, %d in the frame", total, len(d.Data), len(b))
		}
	})
}
